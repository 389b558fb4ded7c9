"""`python3 -m kis_deploy`."""

import sys

from kis_deploy.cli import main

sys.exit(main())
