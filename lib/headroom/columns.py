"""Every column name of every table, once. Units and meaning stand beside the name."""

# identity
ITEM_ID = "item_id"  # one series
GROUP_ID = "group_id"  # related series that stay together in one shard
DIMENSIONS = "dimensions"  # map of business dimension to value: service, region, team, tier
METRIC = "metric"  # requests, cpu_utilisation, capacity_cores, cost, …
METRIC_KIND = "metric_kind"  # count, rate, gauge, ratio, latency, cost, capacity, counter
UNIT = "unit"
TIME_ZONE = "time_zone"  # IANA name; the calendar of the item follows it
COUNTRY = "country"  # ISO 3166: DE, or with a part of it DE-BY; null = no public holidays
FIRST_SEEN = "first_seen"
LAST_SEEN = "last_seen"

# observations
TIMESTAMP = "timestamp"  # start of the step, UTC
TARGET = "target"  # the value that is forecast

REVISION = "revision"  # of several values for one instant the largest counts

# files that were ingested
SIZE_BYTES = "size_bytes"
MODIFIED_AT = "modified_at"
CONTENT = "content"  # digest of what the file holds
READING = "reading"  # digest of the settings by which it was read

# refused rows
INGEST_ID = "ingest_id"  # one ingest of one state of the source
SOURCE_FILE = "source_file"
RAW = "raw"  # the row as it came, JSON
REASON = "reason"  # a code
DETAIL = "detail"  # a sentence with the values met
N_ROWS = "n_rows"  # rows of the source that became this one

# events
EVENT_ID = "event_id"
KIND = "kind"  # live_event, launch, freeze, holiday (known ahead); incident, deployment (after)
NAME = "name"
STARTS_AT = "starts_at"
ENDS_AT = "ends_at"
KNOWN_AT = "known_at"  # when the entry could be read in the calendar
SCOPE = "scope"  # map of dimension to value; empty = the whole fleet
EXPECTED_LIFT = "expected_lift"  # share above normal, 0.3 = +30 %; null = not given

# series
FREQ = "freq"
START = "start"  # timestamp of the first step
LENGTH = "length"  # steps
OBSERVED = "observed"  # mask beside target
FLAGGED = "flagged"  # mask beside target: kept, but no scale and no training learns from it
STATIC_CODES = "static_codes"  # integer code per static column, 0 = unknown
SERIES_EVENTS = "series_events"  # events that touch this series, as step offsets from start
STATUS = "status"
INPUT_DIGEST = "input_digest"  # of all that the row was made from

# aggregates
AGGREGATE_ID = "aggregate_id"  # the item_id of a sum or mean over other items
HOW = "how"  # sum, mean, max

# vocabulary of the static columns
STATIC_COLUMN = "static_column"  # metric, or the name of a dimension
CATEGORY = "category"
CODE = "code"  # from 1 on; 0 = unknown

# quality
ISSUE = "issue"
N_AFFECTED = "n_affected"  # steps or rows
SHARE = "share"
FIRST_AT = "first_at"
LAST_AT = "last_at"
ACTION = "action"

# models
MODEL_VERSION = "model_version"
STAGE = "stage"
CONFIG = "config"
CONFIG_DIGEST = "config_digest"
INPUTS = "inputs"
METRICS = "metrics"
WEIGHTS_PATH = "weights_path"
SHA256 = "sha256"

# training log
EPOCH = "epoch"
RANK = "rank"
LOSS = "loss"
WINDOWS_PER_SECOND = "windows_per_second"
SECONDS = "seconds"

# forecasts
FORECAST_START = "forecast_start"  # first predicted step
STEP = "step"  # 1 = forecast_start
WINDOW = "window"  # 0 = earliest
MODEL = "model"
METHOD = "method"
IS_SELECTED = "is_selected"
MEAN = "mean"
QUANTILE_LEVELS = "quantile_levels"
QUANTILES = "quantiles"

# the choice per series
FACTOR = "factor"
SCORE = "score"
N_WINDOWS = "n_windows"

# measures of a forecast
MEAN_WQL_LOSS = "quantile_loss"  # sum over steps of the mean pinball loss x 2
ABS_TARGET = "abs_target"  # sum over steps of |target|
MASE = "mase"
SMAPE = "smape"
MSIS = "msis"
CRPS = "crps"
COVERAGE_50 = "coverage_50"
COVERAGE_80 = "coverage_80"
COVERAGE_90 = "coverage_90"
COVERAGE_95 = "coverage_95"

# recommendations
RECOMMENDATION_ID = "recommendation_id"
REC_TYPE = "rec_type"
ACTION_TEXT = "action_text"
SUMMARY = "summary"
CURRENT = "current"
PROPOSED = "proposed"
SAVINGS_P10 = "savings_p10"  # US dollars per 30 days
SAVINGS_P50 = "savings_p50"
SAVINGS_P90 = "savings_p90"
VALUE = "value"  # US dollars per 30 days: what ranks a recommendation
RISK_NOW = "risk_now"  # probability of a violation inside the horizon, doing nothing
RISK_AFTER = "risk_after"
EVENT_P10 = "event_p10"
EVENT_P50 = "event_p50"
EVENT_P90 = "event_p90"
ACT_BY = "act_by"
CONFIDENCE = "confidence"
EVIDENCE = "evidence"
AS_OF = "as_of"
OUTCOME = "outcome"  # recommended, or the reason why not

# runs
RUN_ID = "run_id"
JOB = "job"
STARTED_AT = "started_at"
FINISHED_AT = "finished_at"
ARGUMENTS = "arguments"
CODE_VERSION = "code_version"
FINGERPRINT = "fingerprint"
TABLES_READ = "tables_read"
TABLES_WRITTEN = "tables_written"
COUNTS = "counts"
MESSAGE = "message"
EXIT_CODE = "exit_code"
