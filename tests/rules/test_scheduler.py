"""What the rules switch off in Snakemake is there to be switched off."""

import inspect

from snakemake.scheduling.job_scheduler import JobScheduler


def test_the_scheduler_has_a_limit_of_jobs_a_second_that_none_switches_off():
    """`common.smk` sets it to None at the start; under another name that would do nothing."""
    source = inspect.getsource(JobScheduler)
    assert source.count("if self.job_rate_limiter is None:") == 1
    assert source.count("if self.job_rate_limiter is not None:") == 1
