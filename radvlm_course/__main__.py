"""``python -m radvlm_course``."""

import sys

from radvlm_course.cli import main

if __name__ == "__main__":
    sys.exit(main())
