"""Who is in the simulated fleet: services, regions, tiers, and which of them have what wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from headroom.config import Simulate
from headroom.errors import ConfigError
from headroom.freq import DAY, SECONDS, parse_freq
from headroom.simulate.draws import key_of, uniforms
from headroom.simulate.rhythm import RHYTHMS, Rhythm

HOUR = SECONDS["h"]
OUTLOOK = 90 * DAY  # the model and its truth go on for so long after the telemetry

SAFE_UTILISATION: Mapping[str, float] = {"T1": 0.55, "T2": 0.65, "T3": 0.80}

OVER_PROVISIONED = "over_provisioned"
IDLE = "idle"
SHORTFALL = "shortfall"
EFFICIENCY_REGRESSION = "efficiency_regression"
COST_ANOMALY = "cost_anomaly"
AUTOSCALED = "autoscaled"  # healthy, with hosts that follow the demand
HEALTHY = "healthy"
PLANTED = (OVER_PROVISIONED, IDLE, SHORTFALL, EFFICIENCY_REGRESSION, COST_ANOMALY)

# One of these for each of twenty service-regions, dealt anew for the next twenty: the kind, and the
# broken sensor. Sensors break at healthy ones only, so that truth stays one thing at a time.
_SLOTS = (
    *[(OVER_PROVISIONED, "")] * 3,
    *[(IDLE, "")] * 1,
    *[(SHORTFALL, "")] * 3,
    *[(EFFICIENCY_REGRESSION, "")] * 2,
    *[(COST_ANOMALY, "")] * 1,
    *[(AUTOSCALED, "")] * 3,
    (HEALTHY, "unit_jump"),
    (HEALTHY, "flat_line"),
    *[(HEALTHY, "")] * 5,
)


@dataclass(frozen=True)
class Region:
    """A place with a clock, its share of the audience, a price level, and holidays (month, day)."""

    name: str
    time_zone: str
    weight: float
    price: float
    holidays: tuple[tuple[int, int, str], ...]


_NEW_YEAR = (1, 1, "New Year's Day")
_LABOUR = (5, 1, "Labour Day")
_CHRISTMAS = (12, 25, "Christmas Day")
REGIONS = (
    Region("us-east", "America/New_York", 1.0, 1.0,
           (_NEW_YEAR, (7, 4, "Independence Day"), (11, 11, "Veterans Day"), _CHRISTMAS)),
    Region("eu-central", "Europe/Berlin", 0.8, 1.12,
           (_NEW_YEAR, _LABOUR, (10, 3, "German Unity Day"), _CHRISTMAS)),
    Region("ap-northeast", "Asia/Tokyo", 0.6, 1.2,
           (_NEW_YEAR, (5, 3, "Constitution Day"), (11, 3, "Culture Day"))),
    Region("sa-east", "America/Sao_Paulo", 0.45, 1.5,
           (_NEW_YEAR, _LABOUR, (9, 7, "Independence Day"), (10, 12, "Our Lady Aparecida"))),
    Region("ap-south", "Asia/Kolkata", 0.5, 1.05,
           ((1, 26, "Republic Day"), (8, 15, "Independence Day"), (10, 2, "Gandhi Jayanti"))),
    Region("ap-southeast", "Australia/Sydney", 0.4, 1.25,
           (_NEW_YEAR, (1, 26, "Australia Day"), (4, 25, "Anzac Day"), _CHRISTMAS)),
    Region("us-west", "America/Los_Angeles", 0.85, 1.05,
           (_NEW_YEAR, (7, 4, "Independence Day"), (11, 11, "Veterans Day"), _CHRISTMAS)),
    Region("eu-west", "Europe/London", 0.7, 1.08,
           (_NEW_YEAR, _CHRISTMAS, (12, 26, "Boxing Day"))),
    Region("af-south", "Africa/Johannesburg", 0.3, 1.3,
           (_NEW_YEAR, (9, 24, "Heritage Day"), _CHRISTMAS)),
    Region("ca-central", "America/Toronto", 0.4, 1.07,
           (_NEW_YEAR, (7, 1, "Canada Day"), _CHRISTMAS)),
    Region("me-central", "Asia/Dubai", 0.3, 1.22, (_NEW_YEAR, (12, 2, "National Day"))),
    Region("ap-east", "Asia/Singapore", 0.4, 1.18,
           (_NEW_YEAR, _LABOUR, (8, 9, "National Day"), _CHRISTMAS)),
)  # fmt: skip

# name, team, rhythm, rank of the tier from the most careful one
_ROLES = (
    ("playback", "streaming", "evening", 0),
    ("search", "discovery", "evening", 1),
    ("billing", "business", "office", 1),
    ("encode", "media", "night", 2),
    ("api-gateway", "platform", "evening", 0),
    ("recommend", "discovery", "evening", 1),
    ("reports", "business", "office", 2),
    ("telemetry", "platform", "steady", 1),
    ("license", "streaming", "evening", 0),
    ("etl", "media", "night", 2),
    ("login", "platform", "evening", 0),
    ("catalog", "discovery", "evening", 1),
    ("manifest", "streaming", "evening", 0),
    ("support", "business", "office", 2),
    ("dns", "platform", "steady", 0),
    ("home", "discovery", "evening", 1),
    ("subtitles", "media", "evening", 2),
    ("payments", "business", "steady", 0),
    ("backup", "platform", "night", 2),
    ("profiles", "discovery", "evening", 1),
    ("packaging", "media", "night", 1),
    ("ads", "streaming", "evening", 1),
    ("hiring", "business", "office", 2),
    ("config-store", "platform", "steady", 1),
)


@dataclass(frozen=True)
class Service:
    """What serves requests, whose it is, and how far its tier lets hosts be used."""

    index: int
    name: str
    team: str
    tier: str
    safe_utilisation: float
    rhythm: Rhythm


@dataclass(frozen=True)
class Fleet:
    """Everything that decides the rows. Times are UTC epoch seconds, `step` is in seconds."""

    seed: int
    n_services: int
    n_regions: int
    start: int
    days: int
    step: int
    dirt: float
    tiers: tuple[tuple[str, float], ...]  # name and safe utilisation, most careful first

    @property
    def end(self) -> int:
        """The first moment after the telemetry."""
        return self.start + self.days * DAY

    @property
    def n_steps(self) -> int:
        return self.days * DAY // self.step

    @property
    def n_groups(self) -> int:
        return self.n_services * self.n_regions

    def service(self, index: int) -> Service:
        name, team, rhythm, rank = _ROLES[index % len(_ROLES)]
        generation = index // len(_ROLES)
        tier, safe = self.tiers[min(rank, len(self.tiers) - 1)]
        name = f"{name}-{generation + 1}" if generation else name
        return Service(index, name, team, tier, safe, RHYTHMS[rhythm])

    def group(self, index: int) -> "Group":
        """Service-region number `index`, services in order, the regions of a service together."""
        service, region = divmod(index, self.n_regions)
        kind, broken_sensor = _slot(self.seed, index)
        return Group(self, self.service(service), REGIONS[region], kind, broken_sensor)

    @property
    def regions(self) -> tuple[Region, ...]:
        return REGIONS[: self.n_regions]


@dataclass(frozen=True)
class Group:
    """One service in one region: the unit that has hosts, and that truth is written about."""

    fleet: Fleet
    service: Service
    region: Region
    kind: str
    broken_sensor: str  # unit_jump, flat_line or nothing

    @cached_property
    def group_id(self) -> str:
        return f"{self.service.name}/{self.region.name}"

    def names(self, *what: str | int) -> tuple[str | int, ...]:
        """The names of a stream of random numbers that belongs to this group alone."""
        return (self.fleet.seed, self.service.name, self.region.name, *what)

    def key(self, *what: str | int) -> int:
        return key_of(*self.names(*what))


def build_fleet(
    settings: Simulate, seed: int, freq: str = "h", tiers: Mapping[str, float] = SAFE_UTILISATION
) -> Fleet:
    """The fleet of these settings; `tiers` is safe utilisation by tier.

    Raises ConfigError where days do not consist of whole steps of `freq`.
    """
    parsed = parse_freq(freq)
    if parsed.is_monthly or DAY % parsed.seconds:
        raise ConfigError(
            f"series.freq {freq}: simulated telemetry has whole steps in a day; "
            "use 5min, 15min, h, 6h, D or another divisor of a day"
        )
    start = int(np.datetime64(settings.start, "s").astype(np.int64))
    return Fleet(
        seed=seed,
        n_services=settings.services,
        n_regions=settings.regions,
        start=start,
        days=settings.days,
        step=parsed.seconds,
        dirt=settings.dirt,
        tiers=tuple(sorted(tiers.items(), key=lambda tier: tier[1])),
    )


def _slot(seed: int, index: int) -> tuple[str, str]:
    deal, place = divmod(index, len(_SLOTS))
    return _SLOTS[_order(seed, deal)[place]]


@lru_cache(maxsize=1024)
def _order(seed: int, deal: int) -> tuple[int, ...]:
    """A permutation of the slots."""
    numbers = uniforms(key_of(seed, "slots", deal), np.arange(len(_SLOTS)))
    return tuple(int(place) for place in np.argsort(numbers))
