# async-job in a container: docker build -t async-job .
#
#   docker run --init --rm -p 127.0.0.1:5079:5079 -v async-job:/data async-job
#
# To serve jobs of your own, start from it: FROM async-job, COPY app.py ./, CMD ["serve", "app:jobs"]. What they need is
# installed in between as another user: USER root, RUN pip install …, USER app.
FROM python:3.13-slim

ENV PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1

WORKDIR /app
RUN useradd --system --uid 10001 --no-create-home app && install --directory --owner=app /data

# The dependencies change seldom, so they are a layer of their own.
COPY requirements/run.txt requirements/
RUN pip install --require-hashes -r requirements/run.txt

COPY pyproject.toml README.md LICENSE ./
COPY src/ src/
RUN pip install --no-deps --no-build-isolation .

# Inside a container only 0.0.0.0 can be published, so `allow_open` is on purpose: keep the published port on 127.0.0.1
# as above, or put a proxy that asks for credentials in front of it.
ENV ASYNC_JOB_HOST=0.0.0.0 \
    ASYNC_JOB_PORT=5079 \
    ASYNC_JOB_ALLOW_OPEN=true \
    ASYNC_JOB_STORE=sqlite:////data/async-job.db

USER app
VOLUME /data
EXPOSE 5079

# No shell in between: SIGTERM reaches the supervisor, and running jobs get their time to end.
ENTRYPOINT ["async-job"]
CMD ["serve"]
