"""Take the patient out of a DICOM-SEG.

Attributes are kept by a list, not removed by one: what is not known stays behind. The
rules are those of PS3.15, annex E, for the attributes of the list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom import DataElement, Dataset

# What stays at the top level; all else goes.
KEPT = """
SOPClassUID SOPInstanceUID SpecificCharacterSet Modality Manufacturer
ManufacturerModelName DeviceSerialNumber SoftwareVersions
StudyInstanceUID SeriesInstanceUID SeriesNumber SeriesDescription InstanceNumber
FrameOfReferenceUID PositionReferenceIndicator ImageType ContentLabel
ContentDescription ContentDate ContentTime SegmentationType SegmentsOverlap
SegmentSequence ReferencedSeriesSequence SourceImageSequence
DimensionOrganizationSequence DimensionOrganizationType DimensionIndexSequence
SharedFunctionalGroupsSequence PerFrameFunctionalGroupsSequence
NumberOfFrames Rows Columns SamplesPerPixel PhotometricInterpretation BitsAllocated
BitsStored HighBit PixelRepresentation LossyImageCompression
LossyImageCompressionRatio LossyImageCompressionMethod PixelData
"""
# attributes that an object must have, if only empty
BLANK = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "StudyID",
    "ReferringPhysicianName",
    "ContentCreatorName",
)
# UIDs of the standard, the same for every patient
STANDARD = ("SOPClassUID", "CodingSchemeUID", "ContextUID", "MappingResourceUID")
DUMMY = {"DA": "19000101", "TM": "000000", "DT": "19000101000000"}


def apply(dataset: Dataset) -> None:
    """De-identify in place: no name, no number, no date; new UIDs.

    The same old UID gives the same new one in every object, so that two segmentations
    of one series still belong together, and to images whose UIDs are mapped by
    `new_uid`. The names of the segments stay.
    """
    kept = set(KEPT.split())
    for element in list(dataset):
        if element.keyword not in kept:
            del dataset[element.tag]
    made: set[str] = set()
    dataset.walk(lambda _, element: _blur(element, made))
    for name in BLANK:
        setattr(dataset, name, None)
    dataset.SeriesDescription = "Segmentation"  # a layer may bear the patient's name
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = "SegReview: attributes by list, UIDs by SHA-512"
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID


def new_uid(old: str) -> str:
    """The UID that takes the place of an old one; its digest, so always the same."""
    from pydicom.uid import generate_uid

    return str(generate_uid(entropy_srcs=["SegReview", old]))


def _blur(element: DataElement, made: set[str]) -> None:
    """Map a UID, blunt a date. An item may hang in two places and be met twice."""
    if element.VR == "UI" and not element.keyword.endswith(STANDARD):
        if element.value not in made:
            element.value = new_uid(str(element.value))
            made.add(element.value)
    elif element.VR in DUMMY:
        element.value = DUMMY[element.VR]
