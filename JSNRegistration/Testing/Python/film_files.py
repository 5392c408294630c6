"""Synthetic films as files, for the tests of reading."""

from __future__ import annotations

import io
from pathlib import Path

import gdcm
import numpy as np
from pydicom import Dataset, uid
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate

CR = uid.ComputedRadiographyImageStorage
DX = uid.DigitalXRayImageStorageForPresentation
SECONDARY_CAPTURE = uid.SecondaryCaptureImageStorage


def a_film(rows: int = 80, columns: int = 72, bits: int = 12, signed: bool = False) -> np.ndarray:
    """Two bright ridges with noise on a dark ground, using most of the bits; uint8, uint16 or int16."""
    y, x = np.mgrid[:rows, :columns]
    ridges = np.exp(-(((x - columns / 2) / 12) ** 2)) * (1 - 0.8 * np.exp(-(((y - rows / 2) / 3) ** 2)))
    noise = np.random.default_rng(7).normal(0, 0.02, ridges.shape)
    unit = np.clip(0.1 + 0.8 * ridges + noise, 0, 1)
    values = np.rint(unit * ((1 << bits) - 1)).astype(int) - ((1 << bits - 1) if signed else 0)
    return values.astype(np.int16 if signed else np.uint8 if bits <= 8 else np.uint16)


def dicom(pixels: np.ndarray, bits: int = 12, sop_class: str = CR, **tags: object) -> Dataset:
    """A complete, uncompressed data set; ``tags`` are set last, None removes one."""
    signed = np.issubdtype(pixels.dtype, np.signedinteger)
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = "1.2.826.0.1.3680043.8.498.1"
    dataset.Modality = "DX" if sop_class == DX else "CR"
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.BitsAllocated = 8 * pixels.dtype.itemsize
    dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    dataset.PixelRepresentation = int(signed)
    dataset.add_new("PixelData", "OW" if pixels.dtype.itemsize == 2 else "OB", pixels.tobytes())
    for keyword, value in tags.items():
        if value is None:
            del dataset[keyword]
        else:
            setattr(dataset, keyword, value)
    return dataset


def as_bytes(dataset: Dataset) -> bytes:
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def write(dataset: Dataset, path: Path) -> Path:
    path.write_bytes(as_bytes(dataset))
    return path


def write_encoded(dataset: Dataset, stream: bytes, syntax: str, path: Path) -> Path:
    """Write a data set whose one frame was encoded by hand."""
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.add_new("PixelData", "OB", encapsulate([stream]))
    dataset["PixelData"].is_undefined_length = True
    return write(dataset, path)


def write_transcoded(dataset: Dataset, syntax: str, path: Path, lossy_quality: int | None = None) -> Path:
    """Write a data set in another transfer syntax, encoded by GDCM, or by pydicom where GDCM does not."""
    if syntax in (uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian, uid.DeflatedExplicitVRLittleEndian):
        if syntax == uid.ExplicitVRBigEndian and dataset.BitsAllocated == 16:
            dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
        dataset.file_meta.TransferSyntaxUID = syntax
        return write(dataset, path)
    if syntax == uid.RLELossless:
        dataset.compress(syntax)
        return write(dataset, path)
    plain = write(dataset, path.with_suffix(".plain"))
    reader = gdcm.ImageReader()
    reader.SetFileName(str(plain))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(syntax)))
    change.SetInput(reader.GetImage())
    if lossy_quality is not None:
        codec = gdcm.JPEGCodec()
        codec.SetLossless(False)
        codec.SetQuality(lossy_quality)
        change.SetUserCodec(codec)
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    writer.SetFileName(str(path))
    assert writer.Write()
    return path
