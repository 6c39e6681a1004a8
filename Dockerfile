# One image for web, worker and beat: the program with its packages of uv.lock, as a user without rights.
#   docker build -t tollmeter .
#   docker run --env-file .env tollmeter python -m config.start worker

FROM python:3.11-slim-bookworm AS build
ENV UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_PYTHON_DOWNLOADS=never
RUN pip install --no-cache-dir uv==0.13.9
WORKDIR /opt/tollmeter
# First what seldom changes. No demo, no tests: neither embedded servers nor a supervisor.
COPY pyproject.toml uv.lock ./
COPY sdk/python/pyproject.toml sdk/python/
RUN uv sync --frozen --no-default-groups --system-certs
COPY manage.py ./
COPY config config
COPY meters meters
COPY pricing pricing
COPY invoices invoices
COPY portal portal
COPY templates templates
COPY static static
RUN STATIC_DIR=/opt/tollmeter/collected .venv/bin/python manage.py collectstatic --no-input --verbosity 0 \
    && .venv/bin/python -m compileall -q config meters pricing invoices portal

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /var/lib/tollmeter --shell /usr/sbin/nologin tollmeter \
    && install -d -o tollmeter -g tollmeter -m 750 /var/lib/tollmeter
COPY --from=build /opt/tollmeter /opt/tollmeter
ENV PATH=/opt/tollmeter/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    STATIC_DIR=/opt/tollmeter/collected \
    TOLLMETER_DATA=/var/lib/tollmeter \
    WEB_ADDRESS=0.0.0.0
WORKDIR /opt/tollmeter
USER tollmeter
VOLUME /var/lib/tollmeter
EXPOSE 8000
STOPSIGNAL SIGTERM
CMD ["python", "-m", "config.start", "web"]
