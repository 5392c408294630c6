"""The measures of bodies of which the truth is known, beside those of other programs.

Lengths are in geometric mean voxel edges, g = (dk dj di)^(1/3): in voxels where these are cubes. Every body is cut at
several random offsets and turns; a table gives the mean and the standard deviation over them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from morphometry_peers import localthickness_diameter, porespy_diameter
from morphometry_shapes import (
    ellipsoid,
    grid,
    gyroid_sheet,
    gyroid_sheet_of_one_period,
    inside,
    plates,
    rods,
    strut_lattice,
    torus,
    turned,
)
from scipy.spatial.transform import Rotation

from SubchondralBoneAnalysisLib.diameter_statistics import diameters
from SubchondralBoneAnalysisLib.local_thickness import local_thickness
from SubchondralBoneAnalysisLib.local_thickness.lattice import Lattice
from SubchondralBoneAnalysisLib.local_thickness.workers import Workers
from SubchondralBoneAnalysisLib.morphometry import BONE, LONGEST_FINE, Morphometry, measure

VOXELS = {"1:1:1": (1.0, 1.0, 1.0), "1:1:1.5": (1.5, 1.0, 1.0), "1:1:2": (2.0, 1.0, 1.0)}
FLAT_VOXELS = {"1:1:3": (3.0, 1.0, 1.0), "1:2:2": (2.0, 2.0, 1.0)}  # for the correction only
CUBES = "1:1:1"
PLATE_THICKNESS = (2, 2.5, 3, 3.5, 4, 5, 6.5, 8)
GYROID_THICKNESS = (3, 4, 6)
ROD_DIAMETER = (3, 4, 6, 8)
SPHERE_DIAMETER = (6, 8, 12, 20)
ELLIPSOID_RATIO = (1.3, 2, 3)
# 81 voxels of the plates are measured: 80 steps between voxels, four periods.
EXTENT, MARGIN, PERIOD, ROD_PERIOD = 121, 20, 20, 24
GYROID_EXTENT, GYROID_MARGIN, GYROID_PERIOD = 128, 42, 40
ELLIPSOID_RADIUS = 10  # of the sphere of the same volume
CORRECTION_EXTENT, CORRECTION_MARGIN, CORRECTION_CUTS = 80, 16, 24
EACH = 6
NO_TURN = Rotation.identity()


@dataclass(frozen=True)
class Body:
    """Cut `number` times: `make(places, ...)` of the places as the turned and shifted body sees them.

    `thickness`, `separation`: the truth in g; None where it is not known. `margin` is kept around what is measured.
    """

    name: str
    voxels: str
    thickness: float | None
    separation: float | None
    extent: float
    margin: float
    period: float
    make: Callable[[np.ndarray, float], np.ndarray]
    oblique: bool = True
    number: int = EACH

    @property
    def edge_mm(self) -> float:
        """g in mm."""
        return float(np.prod(VOXELS[self.voxels])) ** (1 / 3)

    def cut(self, number: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Structure and region [k, j, i] bool of a cut; its turn and offset are random, but always the same."""
        random = np.random.default_rng([number, round(10 * (self.thickness or 0)), len(self.name)])
        turn = Rotation.random(random_state=int(random.integers(2**31))) if self.oblique else NO_TURN
        # Offsets along the first axis are spread evenly: they matter most for what is not oblique.
        shift = np.array([(number + random.random()) / self.number, *random.random(2)]) * self.period * self.edge_mm
        if not self.oblique:
            shift[0] = (number + random.random()) / self.number * self.edge_mm
        places = grid(self.extent * self.edge_mm, VOXELS[self.voxels])
        region = inside(places, self.margin * self.edge_mm) if self.margin else None
        return self.make(turned(places, turn, shift), self.edge_mm), region


def thickness_and_separation() -> Iterator[tuple[str, str, list[dict]]]:
    """The tables (name, title, rows): thickness, separation and number, shape."""
    thickness, separation, shape = [], [], []
    errors: dict[tuple[str, str], list[np.ndarray]] = {}
    for body in _bodies():
        found = [_measured(body, number) for number in range(body.number)]
        row = {"body": body.name, "voxels": body.voxels, "cuts": body.number}
        thickness.append(row | _thickness_row(body, found))
        errors.setdefault((body.name, body.voxels), []).append(_errors(body, found))
        if body.separation is not None:
            separation.append(row | _separation_row(body, found))
        if body.voxels == CUBES and body.oblique:
            shape.append(row | {"truth, voxels": body.thickness} | _shape_row(body, found))
    yield "morphometry_thickness", "Tb.Th of known bodies, in geometric mean voxel edges", thickness
    yield "morphometry_errors", "Mean error of Tb.Th over all sizes of a body, in the same unit", _mean_errors(errors)
    yield "morphometry_separation", "Tb.Sp and Tb.N of parallel plates 20 voxels apart", separation
    yield "morphometry_smi", "Structure model index (plates 0, rods 3, spheres 4) and BV/TV of known bodies", shape


def correction() -> list[dict]:
    """What raw 2r is too large by, over thicknesses from 3 to 7 and random turns, for each kind of voxel."""
    rows = []
    for voxels, spacing in (VOXELS | FLAT_VOXELS).items():
        edge = float(np.prod(spacing)) ** (1 / 3)
        places = grid(CORRECTION_EXTENT * edge, spacing)
        region = inside(places, CORRECTION_MARGIN * edge)
        for name, make, period in (("plates, oblique", plates, PERIOD), ("gyroid sheets", gyroid_sheet, GYROID_PERIOD)):
            over = []
            for number in range(CORRECTION_CUTS):
                thickness = 3 + 4 * (number + 0.5) / CORRECTION_CUTS
                turn = Rotation.random(random_state=number)
                shift = period * edge * np.random.default_rng(number).random(3)
                structure = make(turned(places, turn, shift), thickness * edge, period * edge)
                with Workers() as workers:
                    lattice = Lattice.of(spacing, structure.shape)
                    bone = local_thickness(structure.view(np.uint8), BONE, lattice, workers)
                    over.append(diameters(bone, region, workers).mean_mm / edge - thickness)
            edges = np.array(spacing) / edge
            rows.append(
                {
                    "body": name,
                    "voxels": voxels,
                    "cuts": CORRECTION_CUTS,
                    "raw 2r less the truth": _spread(over, 3),
                    "standard error of the mean": round(float(np.std(over, ddof=1)) / CORRECTION_CUTS**0.5, 3),
                    "half the geometric mean edge": 0.5,
                    "half the arithmetic mean edge": round(float(edges.mean()) / 2, 3),
                    "half the shortest edge": round(float(edges.min()) / 2, 3),
                    "half the longest edge": round(float(edges.max()) / 2, 3),
                }
            )
    return rows


def fine_correction() -> list[dict]:
    """Known bodies with centres on voxels (2r less half an edge) and between them too (less a whole edge)."""
    sheets = ("gyroid sheets", gyroid_sheet, GYROID_PERIOD, GYROID_THICKNESS)
    rows = _fine_rows(*sheets, CUBES, oblique=False)
    for voxels in (voxels for voxels, edges in VOXELS.items() if max(edges) <= LONGEST_FINE * min(edges)):
        rows += _fine_rows(*sheets, voxels, oblique=True)
    rows += _fine_rows("plates", plates, PERIOD, PLATE_THICKNESS, CUBES, oblique=True)
    return rows + _fine_rows("rods", rods, ROD_PERIOD, ROD_DIAMETER, CUBES, oblique=True)


def _fine_rows(
    name: str, body: Callable, period: float, sizes: Sequence[float], voxels: str, *, oblique: bool
) -> list[dict]:
    spacing = VOXELS[voxels]
    edge = float(np.prod(spacing)) ** (1 / 3)
    places = grid(CORRECTION_EXTENT * edge, spacing)
    region = inside(places, CORRECTION_MARGIN * edge)
    rows = []
    for size in sizes:
        found = []
        for number in range(EACH):
            turn = Rotation.random(random_state=number) if oblique else NO_TURN
            shift = period * edge * np.random.default_rng(number).random(3)
            structure = body(turned(places, turn, shift), size * edge, period * edge)
            found.append(measure(structure, spacing, region, fine=True)[0])
        fine = [m.tb_th_fine_mm / edge for m in found]
        rows.append(
            {
                "body": f"{name}, {'oblique' if oblique else 'aligned'}",
                "voxels": voxels,
                "cuts": EACH,
                "truth": size,
                "corrected": _spread([m.tb_th_mm / edge for m in found]),
                "fine": _spread(fine),
                "mean error of fine": round(float(np.mean(fine)) - size, 2),
                "fine within 0.1": "yes" if abs(np.mean(fine) - size) <= 0.1 else "NO",
            }
        )
    return rows


def connectivity() -> list[dict]:
    """Euler number and connectivity density of known bodies."""
    rows = []
    # 61 voxels are measured along each edge: 60 steps between voxels, which are three periods.
    places = grid(101, VOXELS[CUBES])
    for name, oblique in (("aligned, at random offsets", False), ("oblique, at random offsets", True)):
        found = []
        for number in range(EACH):
            turn = Rotation.random(random_state=number) if oblique else NO_TURN
            shift = 20 * np.random.default_rng(number).random(3)
            struts = strut_lattice(turned(places, turn, shift), 5, 20)
            found.append(measure(struts, VOXELS[CUBES], inside(places, 20))[0])
        rows.append(
            {
                "body": f"cubic lattice of struts without an end, {name}",
                "cuts": EACH,
                "quantity": "Euler number a cell",
                "truth": -2,
                "Euler number": _spread([m.euler_number / 27 for m in found], 3),
                "Conn.D": _spread([m.conn_d_per_mm3 * 20**3 for m in found], 3),
            }
        )
    # 41 voxels, one period.
    places = grid(61, VOXELS[CUBES])
    shifts = [40 * np.random.default_rng(number).random(3) for number in range(EACH)]
    sheets = [gyroid_sheet(turned(places, NO_TURN, shift), 5, 40) for shift in shifts]
    found = [measure(sheet, VOXELS[CUBES], inside(places, 10))[0] for sheet in sheets]
    rows.append(
        {
            "body": "gyroid sheet without an end, at random offsets",
            "cuts": EACH,
            "quantity": "Euler number a cell",
            "truth": -8,
            "Euler number": _spread([m.euler_number for m in found], 3),
            "Conn.D": _spread([m.conn_d_per_mm3 * 40**3 for m in found], 3),
        }
    )
    turn = Rotation.random(random_state=1)
    wholes = (
        ("4 x 4 x 4 nodes and their struts, oblique", strut_lattice, (5, 15, 4), -80),
        ("ring, oblique", torus, (20, 5), 0),
        ("one sphere", lambda places, radius: ellipsoid(places, (radius,) * 3), (20,), 1),
    )
    for name, make, sizes, euler in wholes:
        m, _ = measure(make(turned(grid(90, VOXELS[CUBES]), turn, np.zeros(3)), *sizes), VOXELS[CUBES])
        rows.append(
            {
                "body": f"{name}, wholly inside the volume",
                "cuts": 1,
                "quantity": "Euler number",
                "truth": euler,
                "Euler number": round(m.euler_number, 3),
                "Conn.D": round(m.conn_d_per_mm3 * 89**3, 3),
            }
        )
    return rows


def anisotropy() -> list[dict]:
    """Degree of anisotropy of ellipsoids: that of the mean intercept length is the ratio of their half axes."""
    rows = []
    shapes = {"prolate": lambda r: (r, 1, 1), "oblate": lambda r: (r, r, 1), "triaxial": lambda r: (r, r**0.5, 1)}
    for voxels, spacing in VOXELS.items():
        edge = float(np.prod(spacing)) ** (1 / 3)
        for ratio in ELLIPSOID_RATIO:
            for name, half_axes in shapes.items():
                half = np.array(half_axes(ratio), float)
                half *= ELLIPSOID_RADIUS * edge / np.prod(half) ** (1 / 3)
                found, angles = [], []
                for number in range(EACH):
                    turn = Rotation.random(random_state=number)
                    shift = np.random.default_rng(number).random(3)
                    extent = 2 * half.max() + 8 * edge
                    m, _ = measure(ellipsoid(turned(grid(extent, spacing), turn, shift), half), spacing)
                    found.append(m.degree_of_anisotropy)
                    # Frame: an axis is along x, y, z, that is i, j, k. The truth's unique axis is column 0 or 2.
                    unique = 2 if name == "oblate" else 0
                    axis = np.array(m.mil_axes_lps[unique])[::-1]
                    angles.append(np.degrees(np.arccos(min(1.0, abs(axis @ turn.as_matrix()[:, unique])))))
                rows.append(
                    {
                        "body": f"{name} ellipsoids",
                        "voxels": voxels,
                        "cuts": EACH,
                        "truth": ratio,
                        "degree of anisotropy": _spread(found),
                        "error, %": round(100 * (np.mean(found) / ratio - 1), 1),
                        "error of the axis, degrees": round(float(np.mean(angles)), 1),
                    }
                )
    return rows


@dataclass(frozen=True)
class Found:
    """In g: mean 2r of the bone and of the marrow by each program, and our other measures."""

    ours: Morphometry
    raw: float
    raw_separation: float
    peers: dict[str, tuple[float, float]]


def _bodies() -> Iterator[Body]:
    def plate(thickness: float) -> Callable:
        return lambda places, edge: plates(places, thickness * edge, PERIOD * edge)

    def gyroid(thickness: float) -> Callable:
        return lambda places, edge: gyroid_sheet(places, thickness * edge, GYROID_PERIOD * edge)

    def rod(diameter: float) -> Callable:
        return lambda places, edge: rods(places, diameter * edge, ROD_PERIOD * edge)

    def ball(diameter: float) -> Callable:
        return lambda places, edge: ellipsoid(places, (diameter * edge / 2,) * 3)

    for t in PLATE_THICKNESS:
        yield Body("plates, aligned", CUBES, t, PERIOD - t, EXTENT, MARGIN, PERIOD, plate(t), oblique=False)
    for voxels in VOXELS:
        for t in PLATE_THICKNESS:
            yield Body("plates, oblique", voxels, t, PERIOD - t, EXTENT, MARGIN, PERIOD, plate(t))
    for d in ROD_DIAMETER:
        yield Body("rods, oblique", CUBES, d, None, EXTENT, ROD_PERIOD, ROD_PERIOD, rod(d))
    for d in SPHERE_DIAMETER:
        yield Body("single spheres", CUBES, d, None, d + 12, 0, 1, ball(d))
    extents = (GYROID_EXTENT, GYROID_MARGIN, GYROID_PERIOD)
    for t in GYROID_THICKNESS:
        yield Body("gyroid sheets, aligned", CUBES, t, None, *extents, gyroid(t), oblique=False)
    for voxels in VOXELS:
        for t in GYROID_THICKNESS:
            yield Body("gyroid sheets, oblique", voxels, t, None, *extents, gyroid(t))


def _measured(body: Body, number: int) -> tuple[Body, Found]:
    structure, region = body.cut(number)
    ours, _ = measure(structure, VOXELS[body.voxels], region)
    peers = {}
    if body.voxels == CUBES:
        for name, diameter in (("porespy", porespy_diameter), ("localthickness", localthickness_diameter)):
            measured = np.ones(structure.shape, bool) if region is None else region
            bone = float(diameter(structure)[structure & measured].mean())
            marrow = np.nan
            if body.separation is not None:
                marrow = float(diameter(~structure)[~structure & measured].mean())
            peers[name] = (bone, marrow)
    return body, Found(ours, ours.tb_th_raw_mm / body.edge_mm, ours.tb_sp_raw_mm / body.edge_mm, peers)


def _thickness_row(body: Body, found: list[tuple[Body, Found]]) -> dict:
    half = [of.ours.half_voxel_mm / body.edge_mm for _, of in found]
    corrected = [of.raw - h for (_, of), h in zip(found, half, strict=True)]
    row = {
        "truth": body.thickness,
        "ours, raw 2r": _spread([of.raw for _, of in found]),
        "ours, corrected": _spread(corrected),
        "mean error": round(float(np.mean(corrected)) - body.thickness, 2),
        "porespy 2r": _peer(found, "porespy", 0),
        "localthickness 2r": _peer(found, "localthickness", 0),
        "2 BV/BS by lines": _spread([of.ours.tb_th_plate_mm / body.edge_mm for _, of in found]),
        "2 BV/BS by mesh": _spread([of.ours.tb_th_mesh_plate_mm / body.edge_mm for _, of in found]),
    }
    if "gyroid" in body.name:
        row["within 0.1"] = "yes" if abs(np.mean(corrected) - body.thickness) <= 0.1 else "NO"
    return row


def _errors(body: Body, found: list[tuple[Body, Found]]) -> np.ndarray:
    """Mean error of raw 2r, corrected, porespy and localthickness (4,); NaN where a program was not asked."""
    raw = np.mean([of.raw for _, of in found])
    half = found[0][1].ours.half_voxel_mm / body.edge_mm
    peers = [np.mean([of.peers.get(name, (np.nan,))[0] for _, of in found]) for name in ("porespy", "localthickness")]
    return np.array([raw, raw - half, *peers]) - body.thickness


def _mean_errors(errors: dict[tuple[str, str], list[np.ndarray]]) -> list[dict]:
    columns = ("ours, raw 2r", "ours, corrected", "porespy 2r", "localthickness 2r")
    rows = []
    for (body, voxels), found in errors.items():
        means = np.mean(found, axis=0)
        row = {"body": body, "voxels": voxels, "sizes": len(found)}
        row |= {
            name: "cubes only" if np.isnan(mean) else round(float(mean), 2)
            for name, mean in zip(columns, means, strict=True)
        }
        worst = max((error[1] for error in found), key=abs)
        rows.append(row | {"ours, corrected, worst size": round(float(worst), 2)})
    return rows


def _separation_row(body: Body, found: list[tuple[Body, Found]]) -> dict:
    corrected = [of.ours.tb_sp_mm / body.edge_mm for _, of in found]
    number = {
        "BV/TV over Tb.Th": [of.ours.tb_n_parfitt_per_mm for _, of in found],
        "1/(Tb.Th + Tb.Sp)": [of.ours.tb_n_plate_per_mm for _, of in found],
        "direct": [of.ours.tb_n_direct_per_mm for _, of in found],
    }
    return {
        "truth": body.separation,
        "ours, raw 2r": _spread([of.raw_separation for _, of in found]),
        "ours, corrected": _spread(corrected),
        "mean error": round(float(np.mean(corrected)) - body.separation, 2),
        "porespy 2r": _peer(found, "porespy", 1),
        "localthickness 2r": _peer(found, "localthickness", 1),
    } | {
        f"Tb.N x period, {name}": _spread([value * PERIOD * body.edge_mm for value in values], 3)
        for name, values in number.items()
    }


def _shape_row(body: Body, found: list[tuple[Body, Found]]) -> dict:
    smi, fraction = _true_shape(body)
    return {
        "SMI, truth": round(smi, 2),
        "SMI": _spread([of.ours.smi for _, of in found]),
        "BV/TV, truth": round(fraction, 4) if fraction else "",
        "BV/TV": _spread([of.ours.bv_tv for _, of in found], 4) if fraction else "",
    }


def _true_shape(body: Body) -> tuple[float, float | None]:
    """Structure model index and volume fraction."""
    if body.name.startswith("plates"):
        return 0, body.thickness / PERIOD
    if body.name.startswith("rods"):
        return 3, np.pi * body.thickness**2 / 4 / ROD_PERIOD**2
    if body.name.startswith("gyroid"):
        volume, surface, curvature = gyroid_sheet_of_one_period(body.thickness / GYROID_PERIOD)
        return 12 * volume * curvature / surface**2, volume
    return 4, None


def _peer(found: list[tuple[Body, Found]], name: str, phase: int) -> str:
    values = [of.peers[name][phase] for _, of in found if name in of.peers]
    return _spread(values) if values else "cubes only"


def _spread(values: list[float], digits: int = 2) -> str:
    return f"{np.mean(values):.{digits}f} ± {np.std(values):.{digits}f}"
