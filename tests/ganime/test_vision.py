"""torchvision, which comes when it is asked for."""

import subprocess
import sys


def test_whoever_asks_first_all_get_it() -> None:
    script = (
        "import sys\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from ganime import vision\n"
        "assert 'torchvision' not in sys.modules\n"
        "with ThreadPoolExecutor(4) as pool:\n"
        "    found = set(pool.map(lambda _: vision.torchvision.models.resnet18, range(4)))\n"
        "assert len(found) == 1\n"
        "assert not hasattr(vision, 'torchaudio')\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
