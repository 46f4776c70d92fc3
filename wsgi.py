"""What gunicorn and the `flask` command serve. `python wsgi.py` is the reloading, debugging variant."""

import os
import sys
from urllib.parse import urlsplit

from werkzeug.serving import is_running_from_reloader

from app import create_app, notices
from app.config import ConfigurationError

try:
    app = create_app()
except (ConfigurationError, OSError) as error:
    print(f"Latchkey can't start: {error}", file=sys.stderr)
    # Of all codes, gunicorn takes this one for "don't try again".
    sys.exit(4)

# Only a process that serves sends notices in the background. `flask` commands don't, nor does the reloader's watcher.
is_watcher = __name__ == "__main__" and app.debug and not is_running_from_reloader()
if not os.environ.get("FLASK_RUN_FROM_CLI") and not is_watcher:
    notices.start_thread(app)

if __name__ == "__main__":
    print(f"Latchkey, reloading and debugging, on {app.config['SITE_URL']}", flush=True)
    app.run(host="localhost", port=urlsplit(app.config["SITE_URL"]).port or 80, debug=app.debug)
