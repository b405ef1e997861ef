"""The environment of our entry points: Prefect quiet and on this machine alone."""

import os

# Each only where the user has said nothing else.
DEFAULTS = {
    # Without these two, server and client report usage to outside hosts.
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    # The library's own loggers reach the run's page.
    "PREFECT_LOGGING_EXTRA_LOGGERS": "ganime",
    # Some of what they say is said before the run begins.
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    # The embedded server needs up to 15 s on a slow disk.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "60",
    # Shards run in threads of their own; BLAS and OpenMP threads on top would spin against them.
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "passive",
    # Results are small references; no pickle.
    "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
    # A run that falls silent is found dead after 120 s (flows/operate/automations.py); by default a
    # run speaks every 180 s, and healthy ones would be taken for dead.
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
    # The newer pages ask an outside host for their settings, even with analytics off.
    "PREFECT_SERVER_UI_V2_ENABLED": "false",
    # One by one the server records 15 task runs a second, in batches 70.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_READ_BATCH_SIZE": "100",
}


def apply(*, debug: bool) -> None:
    """Set them, before numpy, torch or prefect are imported.

    Args:
        debug: Prefect's own log goes to the console as well.
    """
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    if not debug:
        os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
