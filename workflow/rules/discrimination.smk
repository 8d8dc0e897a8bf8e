# Which pairs of phases can be told apart, from the crystals alone.
#
# in:  CIFs
# out: pairs/<instrument>.nc, .csv, figures/pairs/<instrument>.png
#
# config:
#   spots: {max_radius: 1.2, position_sigma: 0.005}
#   phases: {decide_above: 0.95, min_spots: 5}
#   material: {phases: [{name: Na3, label: Na$_3$V, cif: config/structures/Na3V2PO42F3.cif}]}
#   instruments: {astar: {voltage_kv: 200, precession_deg: 0.8}}


rule rate_pairs:
    input:
        cifs=CIFS,
        code=code("rate_pairs"),
    output:
        **recorded(pairs="pairs/{instrument}.nc"),
        **pictured(
            "table",
            "pairs/{instrument}.csv",
            "pairs_table",
            "Telling phases apart",
            instrument="{instrument}",
        ),
    log:
        logged("rate_pairs/{instrument}"),
    priority: 1  # as long as a calibration: they should run side by side
    conda:
        "../../envs/environment.yaml"
    params:
        names=stated("material.names"),
        spots=stated("spots"),
        phases=stated("phases"),
        instrument=stated("instrument.{instrument}.optics"),
    shell:
        "python scripts/rate_pairs.py --cifs {input.cifs:q} --names {params.names:q}"
        " --instrument {params.instrument:q} --spots {params.spots:q}"
        " --phases {params.phases:q} --pairs {output.pairs} --table {output.table} > {log} 2>&1"


rule draw_pairs:
    input:
        pairs=result("pairs/{instrument}.nc"),
        cifs=CIFS,
        code=code("draw_pairs"),
    output:
        **pictured(
            "figure",
            "figures/pairs/{instrument}.png",
            "pairs",
            "Telling phases apart",
            instrument="{instrument}",
        ),
    log:
        logged("draw_pairs/{instrument}"),
    conda:
        "../../envs/environment.yaml"
    params:
        names=stated("material.names"),
        labels=stated("material.labels"),
    shell:
        "python scripts/draw_pairs.py --pairs {input.pairs} --cifs {input.cifs:q}"
        " --names {params.names:q} --labels {params.labels:q} --figure {output.figure} > {log} 2>&1"
