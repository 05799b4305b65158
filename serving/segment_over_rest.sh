#!/bin/sh
# Segments a picture over REST, with nothing but curl and a Python that has Pillow; prints the class of each pixel.
#   ./segment_over_rest.sh IMAGE [HOST:PORT [MODEL]]
# For trying out and for other languages: JSON is some hundred times slower than gRPC.
set -eu

image=${1:?usage: segment_over_rest.sh IMAGE [HOST:PORT [MODEL]]}
server=${2:-localhost:8501}
model=${3:-fcn8s}

# First the whole request, then the server: where the picture cannot be read, nothing is sent.
request=$(
    python3 - "$image" <<'PYTHON'
import json, sys
from PIL import Image

try:
    with Image.open(sys.argv[1]) as picture:
        width, values = picture.width, picture.convert("RGB").tobytes()
except OSError as error:
    sys.exit(f"segment_over_rest.sh: {sys.argv[1]}: cannot be read ({error})")
pixels = [list(values[start : start + 3]) for start in range(0, len(values), 3)]
rows = [pixels[start : start + width] for start in range(0, len(pixels), width)]
json.dump({"signature_name": "serving_default", "inputs": {"images": [rows]}}, sys.stdout)
PYTHON
)
printf '%s' "$request" |
    curl --silent --show-error --fail-with-body --data-binary @- "http://$server/v1/models/$model:predict"
