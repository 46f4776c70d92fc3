"""What gunicorn and the `flask` command serve. `python wsgi.py` is the reloading, debugging variant."""

import sys
from urllib.parse import urlsplit

import learn
from app import create_app
from app.config import ConfigurationError

try:
    app = create_app()
    learn.init_app(app)
except (ConfigurationError, OSError) as error:
    print(f"Latchkey can't start: {error}", file=sys.stderr)
    # Of all codes, gunicorn takes this one for "don't try again".
    sys.exit(4)

if __name__ == "__main__":
    print(f"Latchkey, reloading and debugging, on {app.config['SITE_URL']}", flush=True)
    app.run(host="localhost", port=urlsplit(app.config["SITE_URL"]).port or 80, debug=app.debug)
