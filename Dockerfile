# The site behind a proxy that ends TLS: docs/deploy.md. Nothing but /app/instance and /tmp is ever written, so it runs on
# a read-only file system: docker run --read-only --tmpfs /tmp -v latchkey:/app/instance ...
FROM python:3.13-slim

WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir --require-hashes -r requirements.txt

COPY authenticator.py wsgi.py gunicorn.conf.py ./
COPY app app
COPY learn learn
COPY migrations migrations
COPY static static
COPY templates templates
RUN useradd --system --uid 10001 latchkey && mkdir instance && chown latchkey instance

USER latchkey
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 FLASK_BIND=0.0.0.0:8000
VOLUME /app/instance
EXPOSE 8000
HEALTHCHECK CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=3)"]
# Gunicorn finishes what it has begun when it is told to stop (SIGTERM).
CMD ["gunicorn", "wsgi:app"]
