"""What people see of a run: progress in plain lines, and the sentence of a job that failed."""

import pytest

from phasefront.cli import running
from phasefront.core.errors import InputError

FAILED = """\
total            3
localrule find_spots:
1 of 3 steps (33%) done
Error in rule find_spots:
    log: {log} (check log file(s) for error details)
Command 'python scripts/find_spots.py' returned non-zero exit status {status}.
"""


def test_progress_is_a_plain_line_every_tenth_of_the_way(capsys):
    lines = ["total   40\n", *(f"{n} of 40 steps ({n}%) done\n" for n in range(1, 41))]
    running._show_progress(iter(lines))
    shown = capsys.readouterr().err.splitlines()
    assert len(shown) == 10
    assert shown[0] == "4 of 40 steps done"
    assert shown[-1] == "40 of 40 steps done"


def explained(tmp_path, capsys, status):
    log = tmp_path / "find_spots.log"
    log.write_text("a.blo: the file is cut short; copy it again.\n")
    said = FAILED.format(log=log, status=status).splitlines()
    return running._explain_failure(said, "logs/snakemake.log"), capsys.readouterr().err


def test_refused_input_ends_with_its_sentence_and_status_2(tmp_path, capsys):
    status, shown = explained(tmp_path, capsys, 2)
    assert status == 2
    assert shown.startswith("a.blo: the file is cut short; copy it again.\n")
    assert "snakemake.log" in shown


def test_a_bug_ends_with_status_1(tmp_path, capsys):
    assert explained(tmp_path, capsys, 1)[0] == 1


def test_what_snakemake_itself_refuses_is_shown(capsys):
    assert running._explain_failure(["WorkflowError: no such rule."], "snakemake.log") == 1
    assert "no such rule" in capsys.readouterr().err


def test_only_one_run_has_the_transcript(tmp_path):
    with running.only_run(tmp_path) as transcript:
        transcript.write("the first\n")
        with pytest.raises(InputError, match="another run is going"), running.only_run(tmp_path):
            pass
    with running.only_run(tmp_path):
        assert (tmp_path / "logs/snakemake.log").read_text() == "the first\n"


def test_a_job_that_could_not_say_why_is_named(tmp_path, capsys):
    log = tmp_path / "find_spots.log"
    log.touch()
    said = FAILED.format(log=log, status=2).splitlines()
    assert running._explain_failure(said, "logs/snakemake.log") == 2
    assert f"{log}: the job failed without a word" in capsys.readouterr().err
