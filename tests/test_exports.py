"""What `import reverie` offers, and that it costs next to nothing."""

import subprocess
import sys

import pytest

import reverie

NAMES = [
    "Answer",
    "AudioChunk",
    "Citation",
    "Clip",
    "ConfigError",
    "Event",
    "Frame",
    "Hit",
    "Memory",
    "MemoryStoreError",
    "Modality",
    "Observation",
    "Profile",
    "Progress",
    "Push",
    "Query",
    "ReverieError",
    "Session",
    "SourceError",
    "Stage",
    "StageError",
    "Stream",
    "TimeSpan",
    "Track",
    "UsageError",
    "Watch",
    "__version__",
    "imagine",
    "load_profile",
    "open",
    "open_memory",
]
HEAVY = ("av", "cv2", "ctranslate2", "faster_whisper", "gradio", "numpy", "onnxruntime", "pydantic", "ray", "torch")


def test_the_names_are_pinned():
    assert reverie.__all__ == NAMES
    assert dir(reverie) == sorted(NAMES)


def test_every_name_is_there_and_says_what_it_is_for():
    for name in NAMES:
        assert getattr(reverie, name) is not None
        assert name == "__version__" or getattr(reverie, name).__doc__


def test_a_name_that_is_not_there_is_said_so():
    with pytest.raises(AttributeError, match="open_brain"):
        reverie.open_brain  # noqa: B018


def loaded_after(code: str) -> set[str]:
    """The heavy modules that a fresh interpreter has loaded after running `code`."""
    script = f"{code}\nimport sys\nprint(*(name for name in {HEAVY!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_loads_nothing_heavy():
    assert loaded_after("import reverie") == set()


def test_the_command_line_loads_nothing_heavy_before_a_verb_needs_it():
    assert loaded_after("import reverie.cli") == set()


def test_the_types_need_numpy_alone():
    assert loaded_after("from reverie import Frame, ReverieError") <= {"numpy"}
