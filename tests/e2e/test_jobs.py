"""A watch as a Ray job: submitted through the Jobs API to a cluster on the loopback, and asked afterwards."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import zipfile
from pathlib import Path

import pytest

import reverie
from tests.media import every, write_media

pytestmark = [pytest.mark.slow, pytest.mark.ray]

REPOSITORY = Path(__file__).parents[2]
PATIENCE_S = 240
TOKEN = secrets.token_hex(32)  # of this cluster alone, which asks everybody for it


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def wait_for(condition, what, patience_s=PATIENCE_S):
    for _ in range(patience_s * 2):
        if result := condition():
            return result
        threading.Event().wait(0.5)
    raise AssertionError(f"{what}: not within {patience_s} s")


@pytest.fixture(scope="module")
def head():
    """A head node with a job server, in a process group of its own; `ray stop` would stop everybody's."""
    folder = Path(tempfile.mkdtemp(prefix="rj"))  # short: Ray makes sockets below it
    port, gcs_port = free_port(), free_port()
    command = [
        sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--disable-usage-stats",
        f"--port={gcs_port}", "--node-ip-address=127.0.0.1", f"--temp-dir={folder}", "--num-cpus=2",
        "--include-dashboard=true", "--dashboard-host=127.0.0.1", f"--dashboard-port={port}",
        f"--dashboard-agent-listen-port={free_port()}", f"--object-store-memory={256 << 20}",
    ]  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
    with (folder / "head.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
    try:
        yield process, f"http://127.0.0.1:{port}", folder
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def client(head):
    from ray.job_submission import JobSubmissionClient

    process, address, folder = head

    def connected():
        assert process.poll() is None, (folder / "head.log").read_text()
        try:
            return JobSubmissionClient(address, headers={"Authorization": f"Bearer {TOKEN}"})
        except (ConnectionError, RuntimeError):  # the job server is the last to come up
            return None

    return wait_for(connected, "a job server")


def test_a_submitted_watch_is_remembered(client, tmp_path, quick_profile):
    clip = write_media(tmp_path / "clip.mp4", times_s=every(12.5, 6), seconds=6)
    upload = tmp_path / "upload"
    upload.mkdir()
    shutil.copy(quick_profile, upload / "quick.yaml")
    memory = tmp_path / "m"
    call = f"{sys.executable} -m reverie.cli watch {clip} --memory {memory} --profile quick.yaml --json"
    job = client.submit_job(entrypoint=call, runtime_env={"working_dir": str(upload)})
    status = wait_for(lambda: (now := client.get_job_status(job)).is_terminal() and now, "the end of the job")
    assert status == "SUCCEEDED", client.get_job_logs(job)
    assert '"watched_s": 6.0' in client.get_job_logs(job)
    with reverie.open(memory, runner="local") as session:
        (stream,) = session.memory.streams()
        assert stream.ended
        assert len(session.memory.rows(modalities=(reverie.Modality.VISION,))) == 12
        assert session.ask("What was seen?").text


def test_nobody_submits_without_the_token(client, head):
    from ray.exceptions import AuthenticationError
    from ray.job_submission import JobSubmissionClient

    with pytest.raises(AuthenticationError):
        JobSubmissionClient(head[1], headers={"Authorization": "Bearer " + "0" * 64})


def test_a_job_with_a_bad_source_fails_and_says_why(client, tmp_path):
    call = f"{sys.executable} -m reverie.cli watch {tmp_path / 'missing.mp4'} --memory {tmp_path / 'm'}"
    job = client.submit_job(entrypoint=call)
    status = wait_for(lambda: (now := client.get_job_status(job)).is_terminal() and now, "the end of the job")
    assert status == "FAILED"
    assert "there is no such file" in client.get_job_logs(job)
    assert not (tmp_path / "m").exists()


def test_without_an_address_no_strange_cluster_is_joined(head):
    _, _, folder = head
    script = (
        "import ray; from reverie.pipeline.distributed.backend import connect, disconnect; connect();"
        "print(ray.get_runtime_context().gcs_address, ray.cluster_resources()['object_store_memory']); disconnect()"
    )
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    environment["RAY_TMPDIR"] = str(folder)  # where Ray looks for the cluster that was started last
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[1]) > 512 << 20  # the strange one has 256 MiB


def test_rayignore_keeps_environments_and_media_out_of_the_upload(tmp_path):
    from ray._private.runtime_env.packaging import create_package

    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(REPOSITORY / ".rayignore", copy)
    kept = ["reverie/cli.py", "pyproject.toml", "configs/embedded.yaml"]
    left = [".venv/bin/python", "clip.mp4", "deep/er/clip.mkv", "clip.webm", "voice.wav", "my.memory/memory.sqlite"]
    left += [".git/HEAD", "out/sample.mp4", "tests/test_cli.py"]
    for name in [*kept, *left]:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text(name)
    create_package(str(copy), tmp_path / "package.zip", include_gitignore=True)
    with zipfile.ZipFile(tmp_path / "package.zip") as package:
        names = {name for name in package.namelist() if not name.endswith("/")}
    assert names - {".rayignore"} == set(kept)
