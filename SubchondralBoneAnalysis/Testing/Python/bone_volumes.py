"""Volumes of simple bone for the tests, and files of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

SPACING_KJI_MM = (0.06, 0.05, 0.05)
ORIGIN_LPS = (-12.5, 30.25, 101.0)
TURNED = (0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0)  # i runs to P, j to R, k to S


def plates_and_rods(edge: int = 48) -> np.ndarray:
    """Plates of 4 voxels across k, 12 apart, joined by square rods of 5 voxels along k; bool [k, j, i]."""
    k, j, i = np.ogrid[:edge, :edge, :edge]
    return (k % 16 // 4 == 1) | ((j % 16 < 5) & (i % 16 < 5)) & (k >= 0)


def ball(edge: int = 48, radius: float = 0.4) -> np.ndarray:
    """A ball in the middle, its radius as a share of the edge; bool [k, j, i]."""
    offsets = np.ogrid[tuple(slice(-(edge - 1) / 2, edge / 2) for _ in range(3))]
    return sum(offset**2 for offset in offsets) < (radius * edge) ** 2


def grey(bone: np.ndarray, seed: int = 0) -> np.ndarray:
    """Grey values of a structure as int16: marrow about -50, bone about 800, with noise."""
    noise = np.random.default_rng(seed).normal(0.0, 60.0, bone.shape)
    return np.rint(np.where(bone, 800.0, -50.0) + noise).astype(np.int16)


def write(
    path: Path,
    array: np.ndarray,
    spacing_kji_mm: tuple[float, ...] = SPACING_KJI_MM,
    origin_lps: tuple[float, ...] = ORIGIN_LPS,
    direction_lps: tuple[float, ...] = TURNED,
) -> Path:
    """Write a volume [k, j, i] with its place in the patient."""
    image = sitk.GetImageFromArray(array.astype(np.uint8) if array.dtype == bool else array)
    image.SetSpacing(spacing_kji_mm[::-1])
    image.SetOrigin(origin_lps)
    image.SetDirection(direction_lps)
    sitk.WriteImage(image, str(path), useCompression=True)
    return path


def write_dicom_series(folder: Path, array: np.ndarray, series: str = "1", skip: int | None = None) -> Path:
    """Write the slices of a volume as a CT series of 0.5 mm voxels; `skip` leaves one of them out."""
    folder.mkdir(exist_ok=True)
    for k, pixels in enumerate(array.astype(np.int16)):
        if k == skip:
            continue
        image = sitk.GetImageFromArray(pixels)
        image.SetSpacing((0.5, 0.5))
        tags = {"0008|0060": "CT", "0020|000e": f"1.2.826.0.1.3680043.10.1.{series}", "0020|000d": "1.2.826.0.1.1"}
        tags |= {"0020|0013": str(k + 1), "0020|0032": f"0\\0\\{0.5 * k}", "0020|0037": "1\\0\\0\\0\\1\\0"}
        tags["0008|0018"] = f"1.2.826.0.1.3680043.10.2.{series}.{k + 1}"
        for tag, value in tags.items():
            image.SetMetaData(tag, value)
        writer = sitk.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        writer.SetFileName(str(folder / f"{series}_{k:03d}.dcm"))
        writer.Execute(image)
    return folder


def write_nrrd_text(path: Path, array: np.ndarray, *fields: str) -> Path:
    """Write a NRRD of 8 bit with exactly these fields of geometry."""
    sizes = " ".join(str(n) for n in array.shape[::-1])
    head = ["NRRD0004", "type: uint8", "dimension: 3", f"sizes: {sizes}", "encoding: raw", *fields, "", ""]
    path.write_bytes("\n".join(head).encode() + array.astype(np.uint8).tobytes())
    return path


def write_imagej_tiff(path: Path, array: np.ndarray, *notes: str, resolution: float = 20.0) -> Path:
    """Write a TIFF stack as ImageJ does: pixels per unit in the resolution tags, all else in the description."""
    from PIL import Image, TiffImagePlugin

    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[270] = "\n".join(["ImageJ=1.54f", f"images={len(array)}", f"slices={len(array)}", *notes, ""])
    tags[282] = tags[283] = resolution
    tags[296] = 1
    pages = [Image.fromarray(page.astype(np.uint8)) for page in array]
    pages[0].save(path, save_all=True, append_images=pages[1:], tiffinfo=tags)
    return path
