"""The difference between this process's clock and the database's: tokens and deadlines depend on both."""

from prometheus_client import Gauge

from server.core.clock import utc_now
from server.core.log import log
from server.core.services import Services

# A difference that synchronized clocks (NTP) do not reach. Half of it is never due to the network.
TOLERANCE_S = 2.0
_SKEW = Gauge("zoufang_clock_skew_seconds", "This process's clock minus the database's")


async def check_clock(services: Services) -> str:
    """Return `ok`, or by how much the clocks differ, which is also logged and a metric."""
    before = utc_now()
    ((database_time,),) = await services.autocommit.run("SELECT clock_timestamp()", {})
    after = utc_now()
    # The database read its clock at some moment between the two.
    skew_s = (before + (after - before) / 2 - database_time).total_seconds()
    _SKEW.set(skew_s)
    if abs(skew_s) <= TOLERANCE_S + (after - before).total_seconds() / 2:
        return "ok"
    log.warning("clock.skew", seconds=round(skew_s, 1))
    return f"differs from the database by {skew_s:+.1f} s"
