"""Compose a sample stream: python -m demos.sample --seed 7 --seconds 120 --out sample.mp4"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from demos.sample.camera import write_fake_camera
from demos.sample.catalogue import MissingMedia
from demos.sample.compose import compose, truth_path
from demos.sample.plan import plan_stream


def main(argv: list[str] | None = None) -> int:
    """Exit codes: 0, 1 when it failed, 2 for a wrong call."""
    parser = argparse.ArgumentParser(prog="python -m demos.sample", description=__doc__)
    parser.add_argument("--seed", type=int, default=7, help="another seed, another stream (default 7)")
    parser.add_argument("--seconds", type=float, default=120.0, help="its length, at least 10 (default 120)")
    parser.add_argument("--out", type=Path, default=Path("sample.mp4"), help="an .mp4; its truth goes beside it")
    parser.add_argument("--profile", choices=("moving", "still"), default="moving", help="still: a fixed, quiet view")
    parser.add_argument("--fake-camera", type=Path, metavar="DIR", help="also write camera.mjpeg and microphone.wav")
    args = parser.parse_args(argv)
    if args.seconds < 10:
        parser.error("--seconds must be at least 10")
    if args.out.suffix != ".mp4":
        parser.error(f"--out must end in .mp4, not {args.out.name!r}")
    try:
        truth = compose(args.seed, args.seconds, args.out, args.profile, _progress)
        if args.fake_camera is not None:
            write_fake_camera(plan_stream(args.seed, args.seconds, args.profile), args.fake_camera)
    except MissingMedia as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: cannot write {args.out}: {error.strerror}", file=sys.stderr)
        return 1
    print(f"\n{len(truth.facts)} facts in {truth_path(args.out)}", file=sys.stderr)
    print(args.out)
    return 0


def _progress(done_s: float) -> None:
    if sys.stderr.isatty():
        print(f"\rcomposed {done_s:.0f} s", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
