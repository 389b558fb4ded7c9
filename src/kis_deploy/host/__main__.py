"""`python -m kis_deploy.host VERB`: a request as JSON on standard input, on the host itself."""

import sys

from kis_deploy.host.agent import main

sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "status"))
