"""What pixels are, everywhere in the library."""

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
