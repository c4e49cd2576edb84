"""The structures TotalSegmentator names, and their SNOMED CT codes.

Names and numbers: task "total" of TotalSegmentator 2 (Wasserthal et al. 2023, Radiology:
AI 5(5), https://doi.org/10.1148/ryai.230024). Codes: SNOMED CT as DICOM uses it
(PS3.16, CIDs 7150 and 7151 and those they include); the twenty that DICOM does not list
(ribs, muscles, S1, myocardium, portal and splenic vein) as TotalSegmentator maps them.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from napari_segreview.core.labels import Code, Coding, Label, LabelTable, default_color

if TYPE_CHECKING:
    from collections.abc import Mapping


def _sct(value: str, meaning: str) -> Code:
    return Code("SCT", value, meaning)


# The word a table may give for a category → its code (CID 7150).
CATEGORIES: Mapping[str, Code] = MappingProxyType(
    {
        "anatomy": _sct("123037004", "Anatomical Structure"),
        "tissue": _sct("85756007", "Tissue"),
        "altered": _sct("49755003", "Morphologically Altered Structure"),
        "body substance": _sct("91720002", "Body Substance"),
        "object": _sct("260787004", "Physical object"),
    }
)
SIDES = {"left": _sct("7771000", "Left"), "right": _sct("24028007", "Right")}

# label values 1, 2, … of the task "total"
NAMES = """
spleen kidney_right kidney_left gallbladder liver stomach pancreas
adrenal_gland_right adrenal_gland_left lung_upper_lobe_left lung_lower_lobe_left
lung_upper_lobe_right lung_middle_lobe_right lung_lower_lobe_right esophagus trachea
thyroid_gland small_bowel duodenum colon urinary_bladder prostate kidney_cyst_left
kidney_cyst_right sacrum vertebrae_S1 vertebrae_L5 vertebrae_L4 vertebrae_L3
vertebrae_L2 vertebrae_L1 vertebrae_T12 vertebrae_T11 vertebrae_T10 vertebrae_T9
vertebrae_T8 vertebrae_T7 vertebrae_T6 vertebrae_T5 vertebrae_T4 vertebrae_T3
vertebrae_T2 vertebrae_T1 vertebrae_C7 vertebrae_C6 vertebrae_C5 vertebrae_C4
vertebrae_C3 vertebrae_C2 vertebrae_C1 heart aorta pulmonary_vein
brachiocephalic_trunk subclavian_artery_right subclavian_artery_left
common_carotid_artery_right common_carotid_artery_left brachiocephalic_vein_left
brachiocephalic_vein_right atrial_appendage_left superior_vena_cava
inferior_vena_cava portal_vein_and_splenic_vein iliac_artery_left iliac_artery_right
iliac_vena_left iliac_vena_right humerus_left humerus_right scapula_left
scapula_right clavicula_left clavicula_right femur_left femur_right hip_left
hip_right spinal_cord gluteus_maximus_left gluteus_maximus_right gluteus_medius_left
gluteus_medius_right gluteus_minimus_left gluteus_minimus_right autochthon_left
autochthon_right iliopsoas_left iliopsoas_right brain skull rib_left_1 rib_left_2
rib_left_3 rib_left_4 rib_left_5 rib_left_6 rib_left_7 rib_left_8 rib_left_9
rib_left_10 rib_left_11 rib_left_12 rib_right_1 rib_right_2 rib_right_3 rib_right_4
rib_right_5 rib_right_6 rib_right_7 rib_right_8 rib_right_9 rib_right_10
rib_right_11 rib_right_12 sternum costal_cartilages
"""
TOTAL = tuple(NAMES.split())

# name without its side → code and words
ANATOMY = {
    name: _sct(value, words)
    for name, value, words in (
        line.split(maxsplit=2)
        for line in """
adrenal_gland 23451007 Adrenal gland
aorta 15825003 Aorta
atrial_appendage_left 33626005 Left auricular appendage
autochthon 244849004 Deep muscle of back
brachiocephalic_trunk 12691009 Brachiocephalic artery
brachiocephalic_vein 8887007 Brachiocephalic vein
brain 12738006 Brain
clavicula 51299004 Clavicle
colon 71854001 Colon
common_carotid_artery 32062004 Common carotid artery
costal_cartilages 50016007 Costal cartilage
duodenum 38848004 Duodenum
esophagus 32849002 Esophagus
femur 71341001 Femur
gallbladder 28231008 Gallbladder
gluteus_maximus 181674001 Gluteus maximus muscle
gluteus_medius 78333006 Gluteus medius muscle
gluteus_minimus 75297007 Gluteus minimus muscle
heart 80891009 Heart
heart_atrium_left 82471001 Left atrium
heart_atrium_right 73829009 Right atrium
heart_myocardium 74281007 Myocardium
heart_ventricle_left 87878005 Left ventricle of heart
heart_ventricle_right 53085002 Right ventricle of heart
hip 29836001 Hip
humerus 85050009 Humerus
iliac_artery 73634005 Common iliac artery
iliac_vena 46027005 Common iliac vein
iliopsoas 68455001 Iliopsoas muscle
inferior_vena_cava 64131007 Inferior vena cava
kidney 64033007 Kidney
liver 10200004 Liver
lung_lower_lobe 90572001 Lower lobe of lung
lung_middle_lobe_right 72481006 Middle lobe of right lung
lung_upper_lobe 45653009 Upper lobe of lung
pancreas 15776009 Pancreas
portal_vein_and_splenic_vein 110765007 Portal vein and splenic vein
prostate 41216001 Prostate
pulmonary_vein 122972007 Pulmonary vein
rib_1 48535007 First rib
rib_2 78247007 Second rib
rib_3 25888004 Third rib
rib_4 25523003 Fourth rib
rib_5 15339008 Fifth rib
rib_6 59558009 Sixth rib
rib_7 24915002 Seventh rib
rib_8 5953002 Eighth rib
rib_9 22565002 Ninth rib
rib_10 77644006 Tenth rib
rib_11 58830002 Eleventh rib
rib_12 43993008 Twelfth rib
sacrum 54735007 Sacrum
scapula 79601000 Scapula
skull 89546000 Skull
small_bowel 30315005 Small intestine
spinal_cord 2748008 Spinal cord
spleen 78961009 Spleen
sternum 56873002 Sternum
stomach 69695003 Stomach
subclavian_artery 36765005 Subclavian artery
superior_vena_cava 48345005 Superior vena cava
thyroid_gland 69748006 Thyroid gland
trachea 44567001 Trachea
urinary_bladder 89837001 Urinary bladder
vertebrae_C1 14806007 C1 vertebra
vertebrae_C2 39976000 C2 vertebra
vertebrae_C3 113205007 C3 vertebra
vertebrae_C4 5329002 C4 vertebra
vertebrae_C5 36978003 C5 vertebra
vertebrae_C6 36054005 C6 vertebra
vertebrae_C7 87391001 C7 vertebra
vertebrae_L1 66794005 L1 vertebra
vertebrae_L2 14293000 L2 vertebra
vertebrae_L3 36470004 L3 vertebra
vertebrae_L4 11994002 L4 vertebra
vertebrae_L5 49668003 L5 vertebra
vertebrae_S1 65985001 S1 vertebra
vertebrae_T1 64864005 T1 vertebra
vertebrae_T2 53733008 T2 vertebra
vertebrae_T3 1626008 T3 vertebra
vertebrae_T4 73071006 T4 vertebra
vertebrae_T5 56401006 T5 vertebra
vertebrae_T6 45296009 T6 vertebra
vertebrae_T7 62487009 T7 vertebra
vertebrae_T8 11068009 T8 vertebra
vertebrae_T9 82687006 T9 vertebra
vertebrae_T10 7610001 T10 vertebra
vertebrae_T11 12989004 T11 vertebra
vertebrae_T12 23215003 T12 vertebra
""".strip().splitlines()
    )
}
CYST = _sct("367643001", "Cyst")
SIDE = re.compile(r"_(left|right)(?=_\d+$|$)")


def coding_of(name: str) -> Coding | None:
    """The codes of one of TotalSegmentator's names, exactly as it writes it.

    Returns
    -------
    Coding or None
        None for any other name: nothing is guessed.
    """
    if name in ANATOMY:
        return Coding(ANATOMY[name], CATEGORIES["anatomy"])
    found = SIDE.search(name)
    side = SIDES[found[1]] if found else None
    base = SIDE.sub("", name)
    if base == "kidney_cyst":
        return Coding(CYST, CATEGORIES["altered"], None, ANATOMY["kidney"], side)
    if side is None or base not in ANATOMY:
        return None
    return Coding(ANATOMY[base], CATEGORIES["anatomy"], side)


def coded(value: int, name: str) -> Label:
    """A label of this vocabulary in the house colour; uncoded if it is not of it."""
    return Label(value, name, default_color(value), coding_of(name))


def total() -> LabelTable:
    """The 117 labels of the task "total"."""
    return LabelTable(tuple(coded(v, name) for v, name in enumerate(TOTAL, 1)))
