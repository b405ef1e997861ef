"""Whether what runs in this container answers: status 0 or 1, and a sentence.

GANIME_HEALTH_URL names a page of it. Any answer below 500 will do: a page that asks for a token is
alive. Without the variable (a command that serves nothing) there is nothing to ask.
"""

import os
import sys
import urllib.error
import urllib.request

TIMEOUT_S = 4.0  # below the time-out of the HEALTHCHECK, so that the reason is still told


def problem(url: str) -> str | None:
    """What is wrong; None if all is well."""
    try:
        urllib.request.urlopen(url, timeout=TIMEOUT_S).close()
    except urllib.error.HTTPError as error:
        return f"{url} answers {error.code}" if error.code >= 500 else None
    except OSError as error:
        return f"{url} does not answer: {error}"
    return None


if __name__ == "__main__":
    wanted = os.environ.get("GANIME_HEALTH_URL", "")
    if wanted and (found := problem(wanted)):
        sys.exit(found)
