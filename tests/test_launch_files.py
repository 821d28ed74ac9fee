"""Files that start a preset on a cluster: run by bash with stand-ins for Slurm and danlu, which write down how they were called."""

import os
import signal
import subprocess

import pytest

from engine.config_file import parse
from engine.errors import ConfigError
from engine.launch_files import Job, launch_files
from tests.patience import ended, wait_until

SCONTROL = "#!/bin/sh\nprintf 'alpha\\nbeta\\n'\n"
SRUN = '#!/bin/bash\nshift\nfor n in 0 1; do SLURM_NODEID=$n "$@" & done\nwait\n'
DANLU = '#!/bin/bash\necho "${SLURM_NODEID:-batch} $*" >> "$CALLS"\n'
WAITING_DANLU = DANLU + """
if [ "$1" = stop ]; then touch "$CALLS.stop"; exit; fi
until [ -e "$CALLS.stop" ]; do read -t 0.05 <> <(:); done
exit 3
"""


def job(tmp_path, text):
    return Job("big", parse(text, "test"), str(tmp_path / "bin" / "danlu"), "/opt/danlu", "H100")


@pytest.fixture
def cluster(tmp_path):
    """The written files in a folder of their own; gives a function that submits the batch script and the calls danlu got."""

    def submit(danlu):
        for name, text in {"scontrol": SCONTROL, "srun": SRUN, "danlu": danlu}.items():
            (tmp_path / "bin").mkdir(exist_ok=True)
            (tmp_path / "bin" / name).write_text(text)
            (tmp_path / "bin" / name).chmod(0o755)
        for name, text in launch_files(job(tmp_path, "[parallel]\nnum_gpus = 8\nnum_nodes = 2")).items():
            (tmp_path / name).write_text(text)
            (tmp_path / name).chmod(0o755)
        environment = os.environ | {
            "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "CALLS": str(tmp_path / "calls"), "SLURM_SUBMIT_DIR": str(tmp_path),
            "SLURM_JOB_NODELIST": "n[1-2]", "SLURM_JOB_ID": "123",
        }  # fmt: skip
        return subprocess.Popen(["bash", tmp_path / "slurm.sbatch"], env=environment)

    return submit


def calls(tmp_path):
    return sorted((tmp_path / "calls").read_text().splitlines())


def test_slurm_starts_every_machine_and_goes_on_from_a_run_that_is_there(cluster, tmp_path):
    """Each with its number and the same place to meet; submitted again, machine 0 resumes."""
    assert ended(cluster(DANLU), "the job") == 0
    first, second = calls(tmp_path)
    assert first.startswith("0 train") and first.endswith("--node-rank 0 --rdzv alpha:20123")
    assert second.startswith("1 train") and second.endswith("--node-rank 1 --rdzv alpha:20123")

    (tmp_path / "runs" / "big").mkdir(parents=True)
    (tmp_path / "runs" / "big" / "config.toml").write_text("")
    (tmp_path / "calls").unlink()
    assert ended(cluster(DANLU), "the job") == 0
    assert [call[:8] for call in calls(tmp_path)] == ["0 resume", "1 train "]


def test_slurms_warning_stops_the_run_with_a_checkpoint(cluster, tmp_path):
    """The signal before the time is up becomes `danlu stop`, and the job waits until the run has ended."""
    batch = cluster(WAITING_DANLU)
    wait_until(lambda: (tmp_path / "calls").exists() and len(calls(tmp_path)) == 2, "both machines")
    batch.send_signal(signal.SIGTERM)
    ended(batch, "the job")

    assert f"batch stop big --runs-dir {tmp_path}/runs" in calls(tmp_path)


def test_skypilot_takes_the_data_along(tmp_path):
    """A local data file comes to lie on the machines, and the run reads it there."""
    yaml = pytest.importorskip("yaml")
    data = tmp_path / "records.jsonl"
    data.write_text("")
    text = launch_files(job(tmp_path, f'[data]\npath = "{data}"\n[parallel]\nnum_gpus = 4\nnum_nodes = 2'))["sky.yaml"]
    told = yaml.safe_load(text)

    assert (told["num_nodes"], told["resources"]["accelerators"]) == (2, "H100:4")
    assert told["file_mounts"]["~/danlu-job/data-records.jsonl"] == str(data)
    assert "--set data.path=$HOME/danlu-job/data-records.jsonl" in told["run"] and "$SKYPILOT_NODE_RANK" in told["run"]


def test_the_number_of_gpus_must_be_said(tmp_path):
    """The machines are other ones, so nothing here can be looked at."""
    with pytest.raises(ConfigError, match="num_gpus"):
        launch_files(job(tmp_path, ""))
