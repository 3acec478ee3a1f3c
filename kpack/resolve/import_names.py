"""Modules whose distribution has another name, and that no shipped image tells: it has most of them, see `names`."""

from __future__ import annotations

IMPORT_NAMES = {
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "docx": "python-docx",
    "faiss": "faiss-cpu",
    "fitz": "pymupdf",
    "git": "gitpython",
    "hydra": "hydra-core",
    "kafka": "kafka-python",
    "magic": "python-magic",
    "mysqldb": "mysqlclient",
    "nacl": "pynacl",
    "osgeo": "gdal",
    "pil": "pillow",
    "pptx": "python-pptx",
    "psycopg2": "psycopg2-binary",
    "serial": "pyserial",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "usb": "pyusb",
    "yaml": "pyyaml",
}
"""Normalised names of modules -> normalised names of distributions."""
