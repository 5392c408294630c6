"""The `jointquant` command: reads what the user asks for, starts the job, and says how it ended. No arithmetic here.

Exit codes: 0 done; 2 bad input, one sentence on standard error; 3 cancelled; 1 a bug, with its traceback.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import math
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

from JointQuantLib import __version__, devices
from JointQuantLib.errors import BadInput, Cancelled
from JointQuantLib.job import RESULT_FILE, Progress, ResultFolder, replaced, versions

DONE, BUG, BAD_INPUT, CANCELLED = 0, 1, 2, 3

TOO_LARGE_FOR_SLICER = "the volume is larger than the memory that was allowed by --memory."

DEEPEST_BAND_MM, MOST_BANDS = 20.0, 20
LARGEST_PATCH_MM, MOST_OVERLAP = 10.0, 0.9
THINNEST_BAND_MM, LEAST_PATCH_STEP_MM, MOST_PATCH_STEPS = 0.1, 1.0, 64  # less is not one voxel; more fills the memory

SIDES = {"l": "left", "left": "left", "r": "right", "right": "right"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; `arguments` are those of the process unless given."""
    # What a library finds odd about a file is the job's to report, in the result: standard error is for one sentence.
    logging.captureWarnings(True)
    logging.basicConfig(level=logging.ERROR, format="%(message)s")
    try:
        asked = _parser().parse_args(arguments)
        with Progress(asked.progress) as progress:
            asked.run(asked, progress)
    except BadInput as error:
        print(f"jointquant: {error}", file=sys.stderr)
        return BAD_INPUT
    except (Cancelled, KeyboardInterrupt):
        print("jointquant: cancelled, nothing was written.", file=sys.stderr)
        return CANCELLED
    return DONE


# ---------------------------------------------------------------------------------------------------------- the jobs


def _hand(asked: argparse.Namespace, progress: Progress) -> None:
    _check_hand(asked)
    _keep_inputs_out_of(asked.out.resolve(), asked)
    with ResultFolder(asked.out, asked.overwrite) as folder:
        from JSNRegistrationLib.analysis import HandRequest, analyse_hand

        request = HandRequest(
            films=tuple(asked.films),
            spacing_mm=_optional(asked.spacing),
            dates=_optional(asked.dates),
            joints=asked.joints,
            joint_crop=asked.joint_crop,
            upper_masks=_optional(asked.upper_mask),
            lower_masks=_optional(asked.lower_mask),
            side=asked.side,
            name=asked.name,
            only=_optional(asked.only),
            reuse=asked.reuse,
            device=asked.device,
            seed=asked.seed,
        )
        analyse_hand(request, folder.path, progress.part(0.0, 0.8))
        _write_pictures(folder, progress.part(0.8, 1.0))
    progress.finish(f"Done: {folder.out / 'report.html'}")


def _knee(asked: argparse.Namespace, progress: Progress) -> None:
    _check_knee(asked)
    _keep_out_of(asked.out.resolve(), [path for path in (asked.ct, asked.bones, asked.mr) if path is not None])
    with ResultFolder(asked.out, asked.overwrite) as folder:
        from SubchondralBoneAnalysisLib.analysis import KneeRequest, analyse_knee
        from SubchondralBoneAnalysisLib.ct_reading import parse_bone_numbers
        from SubchondralBoneAnalysisLib.patches import PatchRule

        request = KneeRequest(
            ct=asked.ct,
            bones=asked.bones,
            bone_names=parse_bone_numbers(" ".join(asked.bones_labels)) if asked.bones_labels else None,
            side=asked.side,
            bands_mm=tuple(pairwise(asked.bands)),
            patch_rule=PatchRule(edge_mm=asked.patch_edge, overlap=asked.patch_overlap),
            patch_grid_mm=asked.patch_grid,
            mr=asked.mr,
            synthesis=not asked.no_synthesis,
            deform=asked.deform,
            device=asked.device,
            seed=asked.seed,
        )
        analyse_knee(request, folder.path, progress.part(0.0, 0.7))
        _write_pictures(folder, progress.part(0.7, 1.0))
    progress.finish(f"Done: {folder.out / 'report.html'}")


def _morphometry(asked: argparse.Namespace, progress: Progress) -> None:
    _check_morphometry(asked)
    _keep_out_of(asked.out.resolve(), [asked.volume, *([asked.region] if asked.region else [])])
    with ResultFolder(asked.out, asked.overwrite) as folder:
        from SubchondralBoneAnalysisLib.morphometry_analysis import MorphometryRequest, analyse_morphometry

        request = MorphometryRequest(
            volume=asked.volume,
            region=asked.region,
            segmentation=asked.segmentation,
            threshold=asked.threshold,
            window_mm=asked.window,
            offset=asked.offset,
            keep_largest=asked.keep_largest,
            fine=asked.fine,
            outside=asked.outside or "context",
            device=asked.device,
            seed=asked.seed,
            memory_gb=asked.memory,
            threads=asked.threads,
        )
        result = analyse_morphometry(request, folder.path, progress.part(0.0, 0.8))
        in_files = result["volume"]["in_files"]
        _write_pictures(folder, progress.part(0.8, 1.0), TOO_LARGE_FOR_SLICER if in_files else None)
    progress.finish(f"Done: {folder.out / 'report.html'}")


def _write_pictures(folder: ResultFolder, progress: Progress, why_not: str | None = None) -> None:
    """Views first, because the report embeds them; the scene last. What cannot be made is named in result.json.

    :param why_not: a reason for which nothing is to be drawn by Slicer.
    """
    from JointQuantLib.report import write_report
    from JointQuantLib.scene import rendering_available, slicer_available, write_scene, write_views

    progress.step(0.0, "Drawing the images in Slicer's slice views")
    views, why_no_views = (False, why_not) if why_not else rendering_available()
    scene, why_no_scene = (False, why_not) if why_not else slicer_available()
    for name, there, reason in (("view_*.png", views, why_no_views), ("scene.mrb", scene, why_no_scene)):
        if not there:
            folder.add_warning(f"{name} not written: {reason}")
            progress.step(0.0, f"{name} not written: {reason}")
    if views:
        with progress.held_back():
            write_views(folder.path, progress.check)
    progress.step(0.5, "Writing the report")
    write_report(folder.path)
    if scene:
        progress.step(0.8, "Writing the Slicer scene")
        with progress.held_back():
            write_scene(folder.path)
    progress.step(1.0, "Finishing")


def _simulate_hand(asked: argparse.Namespace, progress: Progress) -> None:
    with ResultFolder(asked.out, asked.overwrite) as folder:
        from JSNRegistrationLib.simulation.hand import write_simulated_hand

        places = [folder.path] if asked.count == 1 else [folder.path / f"hand_{i:03d}" for i in range(asked.count)]
        for i, place in enumerate(places):
            progress.step(i / asked.count, f"Simulating hand {i + 1} of {asked.count}")
            place.mkdir(exist_ok=True)
            write_simulated_hand(place, asked.seed + i, asked.visits)
        parameters = {"count": asked.count, "visits": asked.visits}
        _write_record(folder, "simulation", "simulate hand", parameters, "cpu", asked.seed)
        progress.step(1.0, "Finishing")
    progress.finish(f"Done: {folder.out}")


def _simulate_knee(asked: argparse.Namespace, progress: Progress) -> None:
    _check_simulated_knee(asked)
    with ResultFolder(asked.out, asked.overwrite) as folder:
        from SubchondralBoneAnalysisLib.simulation.cohort.definition import usual_definition
        from SubchondralBoneAnalysisLib.simulation.cohort.fixed import definition_named
        from SubchondralBoneAnalysisLib.simulation.cohort.making import make_cohort

        if asked.definition is not None:
            definition = definition_named(asked.definition)
        else:
            definition = usual_definition(
                what="blocks" if asked.blocks else "knees",
                split=asked.split or "train",
                seed=asked.seed,
                patients=asked.count or 1,
                nuisance=1.0 if asked.nuisance is None else asked.nuisance,
                microstructure=not asked.no_microstructure,
                micro_ct=tuple(asked.micro_ct or ()),
                scans=asked.scans or 1,
            )
        make_cohort(definition, folder.path, progress, asked.jobs)
        _write_record(folder, "simulation", "simulate knee", definition.as_json(), "cpu", definition.seed)
        progress.step(1.0, "Finishing")
    progress.finish(f"Done: {folder.out}")


def _train_hand_joints(asked: argparse.Namespace, progress: Progress) -> None:
    device = _training_device(asked.device)
    if asked.data is not None:
        if not asked.data.is_dir():
            raise BadInput(f"--data {asked.data} is no folder: give one that holds films.")
        _keep_out_of(asked.out.resolve(), [asked.data])
    with ResultFolder(asked.out, asked.overwrite) as folder:
        from JSNRegistrationLib.training.joint_training_request import TrainingRequest
        from JSNRegistrationLib.training.train_joints import train

        request = TrainingRequest(asked.seed, asked.films, asked.minutes, asked.data, device)
        train(request, folder.path, progress)
        _write_record(folder, "training", "train hand-joints", request.parameters(), device, asked.seed)
    progress.finish(f"Done: {folder.out}")


def _train_hand_registration(asked: argparse.Namespace, progress: Progress) -> None:
    device = _training_device(asked.device)
    for given, name in ((asked.data, "--data"), (asked.images, "--images")):
        if given is not None and not given.is_dir():
            raise BadInput(f"{name} {given} is no folder: give one that is there.")
    _keep_out_of(asked.out.resolve(), [given for given in (asked.data, asked.images) if given is not None])
    with ResultFolder(asked.out, asked.overwrite) as folder:
        from JSNRegistrationLib.training.registration_training_request import RegistrationTrainingRequest
        from JSNRegistrationLib.training.train_registration import train

        request = RegistrationTrainingRequest(asked.seed, asked.joints, asked.data, asked.images, asked.minutes, device)
        train(request, folder.path, progress)
        _write_record(folder, "training", "train hand-registration", request.parameters(), device, asked.seed)
    progress.finish(f"Done: {folder.out}")


def _train_synthesis(asked: argparse.Namespace, progress: Progress) -> None:
    device = _training_device(asked.device)
    if importlib.util.find_spec("monai") is None:
        raise BadInput("training needs MONAI, which this Python does not have: install it by pip install monai.")
    if not asked.data.is_dir():
        raise BadInput(f"--data {asked.data} is no folder: give a cohort, as jointquant simulate knee makes it.")
    # Not in the result folder: what a training that was stopped leaves there is discarded, and --resume needs it.
    keep = asked.keep or asked.out.with_name(f"{asked.out.name}.training")
    _keep_out_of(asked.out.resolve(), [asked.data, keep])
    with ResultFolder(asked.out, asked.overwrite) as folder:
        from SubchondralBoneAnalysisLib.training.synthesis_training_request import SynthesisTrainingRequest
        from SubchondralBoneAnalysisLib.training.train_synthesis import train

        request = SynthesisTrainingRequest(
            data=asked.data,
            unpaired=asked.unpaired,
            keep=keep,
            resume=asked.resume,
            seed=asked.seed,
            steps=asked.steps,
            minutes=asked.minutes,
            patience=asked.patience,
            device=device,
        )
        train(request, folder.path, progress)
        _write_record(folder, "training", "train synthesis", request.parameters(), device, asked.seed)
    progress.finish(f"Done: {folder.out}")


def _write_record(folder: ResultFolder, kind: str, job: str, parameters: dict, device: str, seed: int) -> None:
    """The result.json of a job whose result is other files: what was asked, and by what it was done."""
    folder.write_json(
        RESULT_FILE,
        {
            "schema": f"jointquant-{kind}/1",
            "job": job,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "inputs": [],
            "parameters": parameters,
            "versions": versions(),
            "device": device,
            "seed": seed,
            "warnings": [],
        },
    )


def _training_device(asked: str) -> str:
    if not devices.torch_available():
        raise BadInput(
            "training needs PyTorch, which this Python does not have: run it in the development environment (make test "
            "makes it), or install PyTorch by Slicer's PyTorch extension."
        )
    return devices.choose(asked)


def _scene(asked: argparse.Namespace, progress: Progress) -> None:
    if not (asked.folder / RESULT_FILE).is_file():
        raise BadInput(f"{asked.folder} holds no {RESULT_FILE}: give the --out of an earlier job.")
    from JointQuantLib.scene import slicer_available, write_scene

    progress.step(0.0, "Writing the Slicer scene")
    available, reason = slicer_available()
    if not available:
        raise BadInput(f"scene.mrb not written: {reason}")
    with replaced(asked.folder / "scene.mrb", asked.overwrite), progress.held_back():
        write_scene(asked.folder)
        progress.step(1.0, "Finishing")
    progress.finish(f"Done: {asked.folder / 'scene.mrb'}")


# ------------------------------------------------------------------------------------------- what the user may ask for


class _Parser(argparse.ArgumentParser):
    """An argument parser whose complaint is a sentence like every other one, not a page of usage."""

    def error(self, message: str) -> NoReturn:
        raise BadInput(f"{message.rstrip('.')} (see {self.prog} --help).")


def _parser() -> argparse.ArgumentParser:
    common = _Parser(add_help=False)
    common.add_argument("--device", type=_device, default="auto", metavar="auto|cpu|cuda|cuda:N|mps")
    common.add_argument("--seed", type=_whole_number, default=0, metavar="N", help="of everything random (default: 0)")
    common.add_argument("--progress", choices=("human", "json", "none"), default="human")
    common.add_argument("--overwrite", action="store_true", help="replace an earlier result, once the new one is whole")
    out = _Parser(add_help=False)
    out.add_argument("--out", type=Path, required=True, metavar="DIR", help="the result folder to be made")

    parser = _Parser(prog="jointquant", description="Knee and hand joints, measured. Not a medical device.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    jobs = parser.add_subparsers(dest="job", required=True, metavar="JOB", parser_class=_Parser)

    hand = jobs.add_parser("hand", parents=[common, out], help="joint space change between films of one hand")
    _add_hand_arguments(hand)
    hand.set_defaults(run=_hand)

    knee = jobs.add_parser("knee", parents=[common, out], help="bones and subchondral regions of a knee CT, and MR")
    _add_knee_arguments(knee)
    knee.set_defaults(run=_knee)

    morphometry = jobs.add_parser("morphometry", parents=[common, out], help="trabecular bone of a segmented volume")
    _add_morphometry_arguments(morphometry)
    morphometry.set_defaults(run=_morphometry)

    simulate = jobs.add_parser("simulate", help="films, CT and MR with exactly known truth")
    subjects = simulate.add_subparsers(dest="subject", required=True, metavar="SUBJECT", parser_class=_Parser)
    simulated_hand = subjects.add_parser("hand", parents=[common, out], help="films of one hand at several visits")
    simulated_hand.add_argument("--count", type=_positive_number, default=1, metavar="N", help="how many hands")
    simulated_hand.add_argument("--visits", type=_positive_number, default=2, metavar="N", help="films of each hand")
    simulated_hand.set_defaults(run=_simulate_hand)

    simulated_knee = subjects.add_parser("knee", parents=[common, out], help="CT and MR of knees, or of cubes of bone")
    _add_simulated_knee_arguments(simulated_knee)
    simulated_knee.set_defaults(run=_simulate_knee)

    train = jobs.add_parser("train", help="train a model anew")
    models = train.add_subparsers(dest="model", required=True, metavar="MODEL", parser_class=_Parser)
    hand_joints = models.add_parser(
        "hand-joints", parents=[common, out], help="finds joints and their bones; needs PyTorch"
    )
    hand_joints.add_argument("--films", type=_positive_number, metavar="N", help="learn from N simulated films")
    hand_joints.add_argument("--minutes", type=_minutes, metavar="M", help="each network learns M minutes at most")
    hand_joints.add_argument("--data", type=Path, metavar="DIR", help="a folder that keeps the simulated images")
    hand_joints.set_defaults(run=_train_hand_joints)
    registration = models.add_parser(
        "hand-registration", parents=[common, out], help="registers the bones of a joint; needs PyTorch"
    )
    registration.add_argument("--joints", type=_positive_number, metavar="N", help="learn from N simulated joints")
    registration.add_argument("--data", type=Path, metavar="DIR", help="go on learning from your own films in DIR")
    registration.add_argument("--images", type=Path, metavar="DIR", help="a folder that keeps the simulated joints")
    registration.add_argument("--minutes", type=_minutes, metavar="M", help="learn M minutes at most")
    registration.set_defaults(run=_train_hand_registration)

    synthesis = models.add_parser(
        "synthesis", parents=[common, out], help="makes a synthetic CT of a knee MR; needs PyTorch and MONAI"
    )
    _add_synthesis_arguments(synthesis)
    synthesis.set_defaults(run=_train_synthesis)

    scene = jobs.add_parser("scene", parents=[common], help="write DIR/scene.mrb, to be opened in 3D Slicer")
    scene.add_argument("folder", type=Path, metavar="DIR", help="a result folder")
    scene.set_defaults(run=_scene)
    return parser


def _add_synthesis_arguments(synthesis: argparse.ArgumentParser) -> None:
    synthesis.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="COHORT",
        help="knees with CT and MR, as simulate knee lays them out",
    )
    synthesis.add_argument(
        "--unpaired", action="store_true", help="CT and MR need not be of the same patients, nor aligned"
    )
    synthesis.add_argument("--resume", action="store_true", help="go on where an earlier training was stopped")
    synthesis.add_argument(
        "--keep", type=Path, metavar="DIR", help="a folder for slices and checkpoints (default: OUT.training)"
    )
    synthesis.add_argument("--minutes", type=_minutes, metavar="M", help="learn M minutes at most")
    synthesis.add_argument("--steps", type=_positive_number, metavar="N", help="learn N steps at most")
    synthesis.add_argument(
        "--patience", type=_positive_number, metavar="N", help="stop after N evaluations without a gain"
    )


def _add_hand_arguments(hand: argparse.ArgumentParser) -> None:
    hand.add_argument("films", nargs="+", type=Path, metavar="VISIT", help="two or more films: DICOM, PNG, TIFF or BMP")
    hand.add_argument("--spacing", nargs="+", type=_spacing, metavar="MM", help="pixel spacing: one, or one a visit")
    hand.add_argument("--dates", nargs="+", type=_date, metavar="YYYY-MM-DD", help="of the visits, one for each film")
    hand.add_argument("--joints", type=Path, metavar="FILE", help="joint positions: joints.json or Slicer markups JSON")
    hand.add_argument("--only", nargs="+", type=_joint_name, metavar="NAME", help="measure these joints only")
    hand.add_argument("--side", type=_side, metavar="left|right", help="of the hand; where films show both, which one")
    hand.add_argument("--from", dest="reuse", type=Path, metavar="DIR", help="reuse what an earlier result has already")
    crop = hand.add_argument_group("films that each show one joint")
    crop.add_argument("--joint-crop", action="store_true", help="each film is one joint")
    crop.add_argument("--upper-mask", nargs="+", type=Path, metavar="MASK", help="the distal bone, one for each film")
    crop.add_argument("--lower-mask", nargs="+", type=Path, metavar="MASK", help="the proximal bone, one for each film")
    crop.add_argument("--name", type=_crop_name, metavar="NAME", help="of the joint, as MCP2 (default: JOINT)")


def _check_hand(asked: argparse.Namespace) -> None:
    """Refuse what does not fit together, before any file is read."""
    films = len(asked.films)
    if films < 2:
        raise BadInput(f"{asked.films[0]} is the only film: a change needs at least two, in the order of the visits.")
    if asked.spacing and len(asked.spacing) not in (1, films):
        raise BadInput(f"--spacing: {len(asked.spacing)} given for {films} films, give one, or one a film.")
    if asked.dates and len(asked.dates) != films:
        raise BadInput(f"--dates: {len(asked.dates)} given for {films} films, give one a film.")
    if asked.reuse is not None and not (asked.reuse / RESULT_FILE).is_file():
        raise BadInput(f"--from {asked.reuse} holds no {RESULT_FILE}: give the --out of an earlier job.")
    if bool(asked.upper_mask) != bool(asked.lower_mask):
        raise BadInput("--upper-mask and --lower-mask belong together: give both, or neither.")
    for option, masks in (("--upper-mask", asked.upper_mask), ("--lower-mask", asked.lower_mask)):
        if masks and len(masks) != films:
            raise BadInput(f"{option}: {len(masks)} given for {films} films, give one a film.")
    for option in ("upper_mask", "lower_mask", "name"):
        if getattr(asked, option) and not asked.joint_crop:
            raise BadInput(f"--{option.replace('_', '-')} is for films of one joint: add --joint-crop or leave it out.")
    for option, given in (("joints", asked.joints), ("only", asked.only), ("from", asked.reuse)):
        if given and asked.joint_crop:
            raise BadInput(f"--{option} is for films of a whole hand: leave it out, or leave out --joint-crop.")


def _add_simulated_knee_arguments(knee: argparse.ArgumentParser) -> None:
    knee.add_argument("--count", type=_positive_number, metavar="N", help="how many patients (default: 1)")
    knee.add_argument("--blocks", action="store_true", help="cubes of subchondral bone in place of whole knees")
    knee.add_argument(
        "--split",
        choices=("train", "validation", "test"),
        help="train unless given; the same seed gives other patients in each, and test has what is held out",
    )
    knee.add_argument(
        "--nuisance", type=_nuisance, metavar="F", help="factor of what differs from scan to scan (default: 1)"
    )
    knee.add_argument("--no-microstructure", action="store_true", help="of whole knees: faster, enough to register")
    knee.add_argument(
        "--scans",
        type=_positive_number,
        metavar="N",
        help="with --blocks: scan each patient N times, by other scanners with the leg lying otherwise (default: 1)",
    )
    knee.add_argument(
        "--micro-ct",
        nargs="+",
        type=Path,
        metavar="VOLUME",
        help="your own binary micro-CT volumes, as one more family of microstructure",
    )
    knee.add_argument(
        "--definition",
        metavar="NAME|FILE",
        help="make this cohort: test-blocks or test-knees, the fixed test cohorts; train-blocks, validation-blocks or "
        "train-knees, which the shipped networks learn from; or the cohort.json of an earlier one",
    )
    knee.add_argument("--jobs", type=_positive_number, default=1, metavar="N", help="processes (default: 1)")


def _check_simulated_knee(asked: argparse.Namespace) -> None:
    """Refuse what does not fit together."""
    own = ("count", "split", "nuisance", "blocks", "no_microstructure", "scans", "micro_ct")
    for option in own if asked.definition is not None else ():
        if getattr(asked, option) not in (None, False):
            raise BadInput(f"--definition says all about the cohort: leave out --{option.replace('_', '-')}.")
    if asked.micro_ct and asked.no_microstructure:
        raise BadInput("--micro-ct is a microstructure: leave it out, or leave out --no-microstructure.")
    if asked.blocks and asked.no_microstructure:
        raise BadInput("--no-microstructure is for whole knees: leave it out, or leave out --blocks.")
    if asked.scans and not asked.blocks:
        raise BadInput("--scans repeats the scans of blocks of bone: give --blocks too, or leave it out.")
    for path in asked.micro_ct or ():
        if not path.exists():
            raise BadInput(f"--micro-ct {path} does not exist: check its name.")


def _add_knee_arguments(knee: argparse.ArgumentParser) -> None:
    knee.add_argument(
        "ct", type=Path, metavar="CT", help="CT of one or both knees: DICOM folder, NRRD, NIfTI, MHA or MHD, in HU"
    )
    knee.add_argument(
        "--bones", type=Path, metavar="LABELMAP", help="bones that were drawn elsewhere, in place of ours"
    )
    knee.add_argument(
        "--bones-labels",
        nargs="+",
        metavar="BONE=N",
        help="which label is which bone, as femur=5 tibia=6, where the file does not say so",
    )
    knee.add_argument(
        "--side", type=_side, metavar="left|right", help="of two knees, this one; of one, where no fibula tells"
    )
    knee.add_argument(
        "--bands",
        nargs="+",
        type=_depth,
        default=[0.0, 2.5, 5.0, 10.0],
        metavar="MM",
        help="depths at which the bands begin and end (default: 0 2.5 5 10)",
    )
    mr = knee.add_argument_group("an MR of the same knee, aligned to the CT bone by bone")
    mr.add_argument("--mr", type=Path, metavar="MR", help="DICOM folder of one series, NRRD, NIfTI, MHA or MHD")
    mr.add_argument(
        "--no-synthesis",
        action="store_true",
        help="align the MR as it is, without the synthetic CT that is made of it for that",
    )
    mr.add_argument(
        "--deform", action="store_true", help="also align the soft tissue, by a small deformation: for looking only"
    )
    patches = knee.add_argument_group("patches: cubes of bone that are measured one by one")
    patches.add_argument("--patch-edge", type=_width, default=6.0, metavar="MM", help="of the cube (default: 6)")
    patches.add_argument(
        "--patch-overlap",
        type=_share,
        default=0.5,
        metavar="SHARE",
        help="of the edge by which neighbours overlap, 0 to 0.9 (default: 0.5)",
    )
    patches.add_argument(
        "--patch-grid", type=_width, default=0.4, metavar="MM", help="on which they are sampled (default: 0.4)"
    )


def _check_knee(asked: argparse.Namespace) -> None:
    """Refuse what does not fit together, before any file is read."""
    if asked.bones_labels and asked.bones is None:
        raise BadInput("--bones-labels says what the labels of --bones are: add --bones, or leave it out.")
    for option, given in (("--no-synthesis", asked.no_synthesis), ("--deform", asked.deform)):
        if given and asked.mr is None:
            raise BadInput(f"{option} says how an MR is aligned: add --mr, or leave it out.")
    if len(asked.bands) < 2 or any(low >= high for low, high in pairwise(asked.bands)):
        raise BadInput("--bands needs two depths or more, each deeper than the one before, as 0 2.5 5 10.")
    if asked.bands[-1] > DEEPEST_BAND_MM:
        raise BadInput(f"--bands goes down to {asked.bands[-1]:g} mm: give {DEEPEST_BAND_MM:g} mm at the most.")
    if min(high - low for low, high in pairwise(asked.bands)) < THINNEST_BAND_MM - 1e-9:
        raise BadInput(f"--bands has a band thinner than {THINNEST_BAND_MM:g} mm, which no CT resolves: widen it.")
    if len(asked.bands) > MOST_BANDS + 1:
        raise BadInput(f"--bands asks for {len(asked.bands) - 1} bands: give {MOST_BANDS} at the most.")
    if asked.patch_edge > LARGEST_PATCH_MM:
        raise BadInput(
            f"--patch-edge {asked.patch_edge:g} mm is too large for the bone below the plate: give "
            f"{LARGEST_PATCH_MM:g} mm at the most."
        )
    steps = asked.patch_edge / asked.patch_grid
    if steps < 2 or abs(steps - round(steps)) > 1e-3 * steps:
        raise BadInput(
            f"--patch-edge {asked.patch_edge:g} mm is no whole number of steps of --patch-grid "
            f"{asked.patch_grid:g} mm: change one of them."
        )
    if steps > MOST_PATCH_STEPS + 0.5:
        raise BadInput(
            f"--patch-grid {asked.patch_grid:g} mm gives {steps:.0f} values along an edge: give {MOST_PATCH_STEPS} at "
            "the most."
        )
    step_mm = asked.patch_edge * (1 - asked.patch_overlap)
    if step_mm < LEAST_PATCH_STEP_MM - 1e-9:
        raise BadInput(
            f"--patch-edge and --patch-overlap place patches {step_mm:.2g} mm apart: widen the one or lower the other "
            f"until it is {LEAST_PATCH_STEP_MM:g} mm."
        )


def _add_morphometry_arguments(morphometry: argparse.ArgumentParser) -> None:
    morphometry.add_argument(
        "volume",
        type=Path,
        metavar="VOLUME",
        help="NRRD, NIfTI, MHA, MHD or TIFF stack, or the folder of a DICOM series",
    )
    morphometry.add_argument("--region", type=Path, metavar="MASK", help="measure only where this volume is not 0")
    morphometry.add_argument(
        "--outside",
        choices=("context", "unknown"),
        help="the structure outside the region is seen and not measured, or unknown (default: context)",
    )
    morphometry.add_argument("--fine", action="store_true", help="thin trabeculae too: also Tb.Th by finer spheres")
    morphometry.add_argument(
        "--memory", type=_gigabytes, metavar="GB", help="where it would take more gigabytes, keep the arrays in files"
    )
    morphometry.add_argument("--threads", type=_positive_number, metavar="N", help="use N threads (default: all)")
    bone = morphometry.add_argument_group("how the bone is found")
    bone.add_argument(
        "--segmentation",
        choices=("binary", "fixed", "otsu", "local"),
        default="binary",
        help="the volume is binary (default), or bone is above a fixed, Otsu's or a local threshold",
    )
    bone.add_argument(
        "--threshold",
        type=_grey_value,
        metavar="X",
        help="with fixed: bone is above X, in the unit of the image (HU, mg HA/cm3); with local: and above X",
    )
    bone.add_argument(
        "--window",
        type=_width,
        metavar="MM",
        help="with local: full width at half maximum of the Gaussian that weights the neighbourhood (default: 1)",
    )
    bone.add_argument(
        "--offset", type=_grey_value, metavar="X", help="with local: bone is more than X above the mean (default: 0)"
    )
    bone.add_argument("--keep-largest", action="store_true", help="keep only the largest connected piece of bone")


def _check_morphometry(asked: argparse.Namespace) -> None:
    """Refuse what does not fit together, before any file is read."""
    method = asked.segmentation
    if method == "fixed" and asked.threshold is None:
        raise BadInput("--segmentation fixed needs a threshold: add --threshold X in the unit of the image.")
    if asked.threshold is not None and method not in ("fixed", "local"):
        raise BadInput(
            f"--threshold is not for --segmentation {method}: add --segmentation fixed (or local), or leave it out."
        )
    for option, given in (("window", asked.window), ("offset", asked.offset)):
        if given is not None and method != "local":
            raise BadInput(f"--{option} is not for --segmentation {method}: add --segmentation local, or leave it out.")
    if asked.outside is not None and asked.region is None:
        raise BadInput("--outside says what lies outside a region: add --region, or leave it out.")


def _keep_inputs_out_of(folder: Path, asked: argparse.Namespace) -> None:
    joints = [asked.joints] if asked.joints else []
    _keep_out_of(folder, [*asked.films, *(asked.upper_mask or ()), *(asked.lower_mask or ()), *joints])


def _keep_out_of(folder: Path, inputs: Sequence[Path]) -> None:
    """An input in the folder that will be replaced would be lost with the old result."""
    if not folder.exists():
        return
    for path in inputs:
        if folder in (path.resolve(), *path.resolve().parents):
            raise BadInput(f"{path} lies in the folder that would be replaced: choose another --out.")


def _optional(values: Sequence | None) -> tuple | None:
    return tuple(values) if values else None


def _device(text: str) -> str:
    if not devices.is_device_name(text):
        raise argparse.ArgumentTypeError(f"'{text}' is no device: give {devices.DEVICE_NAMES}")
    return text


def _spacing(text: str) -> float:
    return _above_zero(text, "pixel spacing: give millimetres, greater than 0, as 0.15")


def _minutes(text: str) -> float:
    return _above_zero(text, "number of minutes: give one greater than 0, as 30")


def _width(text: str) -> float:
    return _above_zero(text, "width: give millimetres, greater than 0, as 1.5")


def _depth(text: str) -> float:
    return _zero_or_more(text, "depth: give millimetres, 0 or more, as 2.5")


def _nuisance(text: str) -> float:
    return _zero_or_more(text, "factor: give a number, 0 or more, as 1.5")


def _share(text: str) -> float:
    share = _zero_or_more(text, f"share: give a number from 0 to {MOST_OVERLAP}, as 0.5")
    if share > MOST_OVERLAP:
        raise argparse.ArgumentTypeError(f"{text} is too large: give a number from 0 to {MOST_OVERLAP}")
    return share


def _gigabytes(text: str) -> float:
    return _above_zero(text, "number of gigabytes: give one greater than 0, as 2.5")


def _grey_value(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"'{text}' is no grey value: give a number, as 250")
    return value


def _zero_or_more(text: str, what: str) -> float:
    try:
        zero = float(text) == 0
    except ValueError:
        zero = False
    return 0.0 if zero else _above_zero(text, what)


def _above_zero(text: str, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"'{text}' is no {what}")
    return value


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is no date: give the year, month and day, as 2011-01-31") from None


def _joint_name(text: str) -> str:
    from JSNRegistrationLib.joints import JOINT_NAMES

    if text.upper() not in JOINT_NAMES:
        raise argparse.ArgumentTypeError(f"'{text}' is no finger joint: give one of {', '.join(JOINT_NAMES)}")
    return text.upper()


def _crop_name(text: str) -> str:
    from JSNRegistrationLib.joints import CROP_JOINT

    return CROP_JOINT if text.upper() == CROP_JOINT else _joint_name(text)


def _side(text: str) -> str:
    if text.lower() not in SIDES:
        raise argparse.ArgumentTypeError(f"'{text}' is no side: give left or right")
    return SIDES[text.lower()]


def _whole_number(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number from 0 up")
    return int(text)


def _positive_number(text: str) -> int:
    number = _whole_number(text)
    if number == 0:
        raise argparse.ArgumentTypeError("0 is none: give 1 or more")
    return number
