# What records say of parameters: where the experiment states them. Read after all other rules.

for each in workflow.rules:
    CONTEXT.export_parameters(
        each.name,
        {
            name: param.path
            for name, param in each.params.items()
            if isinstance(param, stated)
        },
    )
