"""What a node asks of its compute child, and what comes back. Blobs go by id; tensors never enter here.

Real: torch in a child process per device. Simulated: a tiny learner in integers. Units: losses are
nats x 1e6 (``_micro``), distances are ratios x 1e9 (``_ppb``), scores are integers of one fixed scale.
All blob ids are BLAKE3-256 of bytes in the node's own blob store.
"""

from dataclasses import dataclass

from protocol.codec import pack, unpack
from protocol.errors import DecodeError
from protocol.ids import Hash, Name


@dataclass(frozen=True, slots=True)
class Hyper:
    """Hyperparameters of a job, as hashed into its spec."""

    rank: int
    alpha: int
    targets: tuple[Name, ...]
    steps: int  # K local steps a unit
    batch: int  # records a step
    max_tokens: int
    lr_nano: int  # peak learning rate x 1e9
    clip_micro: int  # gradient norm clip x 1e6
    outer_lr_micro: int
    outer_momentum_micro: int
    dtype: Name  # "fp32" | "bf16"
    seed: int


@dataclass(frozen=True, slots=True)
class NewAdapter:
    """Make the start adapter of a job: A random from ``hyper.seed``, B zero."""

    base: str
    hyper: Hyper


@dataclass(frozen=True, slots=True)
class AdapterMade:
    adapter: Hash
    base_digest: Hash
    parameters: int


@dataclass(frozen=True, slots=True)
class Train:
    """K canonical steps. ``batches[i]`` lists indices into the records blob (canonical RecordList)."""

    base: str
    adapter: Hash
    records: Hash
    batches: tuple[tuple[int, ...], ...]
    hyper: Hyper


@dataclass(frozen=True, slots=True)
class StepState:
    """Blob ids of step i's raw fp32 vectors: weights, first and second moment, clipped gradient.

    ``g`` of the last state (i = K) is 32 zero bytes: no gradient was taken there.
    """

    w: Hash
    m: Hash
    v: Hash
    g: Hash


@dataclass(frozen=True, slots=True)
class Trained:
    states: tuple[StepState, ...]  # K + 1
    losses_micro: tuple[int, ...]  # K
    tokens: int  # target tokens trained on
    adapter: Hash  # canonical adapter bytes of w_K


@dataclass(frozen=True, slots=True)
class Gradient:
    """The clipped gradient of one step from a revealed state; ``canonical`` = fp64 for disputes."""

    base: str
    adapter: Hash  # gives the shapes (the task's start adapter)
    w: Hash
    records: Hash
    batch: tuple[int, ...]
    hyper: Hyper
    canonical: bool


@dataclass(frozen=True, slots=True)
class GradientDone:
    g: Hash


@dataclass(frozen=True, slots=True)
class Judge:
    """Checks A and B on one step: the worker's (w, m, v, g) at ``step`` and our own gradient."""

    state: StepState
    own: Hash
    step: int
    hyper: Hyper


@dataclass(frozen=True, slots=True)
class Judged:
    """Digest of the canonical next state, and the two gradient distances.

    ``distance_ppb``: ||g'-g|| / ||g'||; ``optimiser_ppb``: the same divided elementwise by sqrt(v_hat)+eps.
    """

    next_w: Hash
    next_m: Hash
    next_v: Hash
    distance_ppb: int
    optimiser_ppb: int


@dataclass(frozen=True, slots=True)
class InspectAdapter:
    """Checks C and D: which weights an adapter holds and how far they moved from the start."""

    adapter: Hash
    start: Hash
    hyper: Hyper


@dataclass(frozen=True, slots=True)
class AdapterFacts:
    w: Hash
    start_w: Hash
    zero: Hash  # digest of the zero vector of the same length (the start's moments)
    moved_ppb: int  # largest |w - w_start| of one element
    bound_ppb: int  # what the schedule allows


@dataclass(frozen=True, slots=True)
class Update:
    worker: Hash  # sort key: the unit id
    adapter: Hash


@dataclass(frozen=True, slots=True)
class Merge:
    start: Hash
    updates: tuple[Update, ...]
    momentum: Hash | None
    hyper: Hyper


@dataclass(frozen=True, slots=True)
class Merged:
    adapter: Hash
    momentum: Hash


@dataclass(frozen=True, slots=True)
class Losses:
    """Mean negative log-likelihood of each record under the base with an adapter (None: the base alone)."""

    base: str
    adapter: Hash | None
    records: Hash
    max_tokens: int


@dataclass(frozen=True, slots=True)
class LossesDone:
    nll_micro: tuple[int, ...]  # per record
    tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Rows:
    """Per-record gradient rows at a checkpoint; each stored as a blob."""

    base: str
    adapter: Hash
    records: Hash
    indices: tuple[int, ...]
    max_tokens: int


@dataclass(frozen=True, slots=True)
class RowsDone:
    rows: tuple[Hash, ...]


@dataclass(frozen=True, slots=True)
class Score:
    """Integer influence of each row's record on each query record."""

    base: str
    adapter: Hash
    rows: tuple[Hash, ...]
    queries: Hash
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Scored:
    """``scores[q][i]``; ``evidence`` lets anyone re-derive them; ``index`` scores later answers."""

    evidence: Hash
    index: Hash
    scores: tuple[tuple[int, ...], ...]
    nll_micro: tuple[int, ...]  # per query, as ``Losses`` would find it; the rows' pass yields it


@dataclass(frozen=True, slots=True)
class CheckRows:
    """Compare revealed rows (of records ``indices``) with our own and with the evidence."""

    base: str
    adapter: Hash
    records: Hash
    indices: tuple[int, ...]
    rows: tuple[Hash, ...]
    queries: Hash
    evidence: Hash
    max_tokens: int


@dataclass(frozen=True, slots=True)
class RowsChecked:
    """Largest distance of a row, of an evidence entry, and the scores re-derived from the evidence."""

    row_ppb: tuple[int, ...]
    evidence_ppb: int
    scores: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Generate:
    base: str
    adapter: Hash | None
    prompt: str
    max_tokens: int
    request: Hash  # the uniforms come from H(request, position)
    temperature_milli: int  # 0: greedy


@dataclass(frozen=True, slots=True)
class Generated:
    text: str
    prompt_tokens: int
    answer_tokens: int


@dataclass(frozen=True, slots=True)
class ScoreAnswer:
    """Influence of every indexed record on one answer, from the index published with the scores."""

    base: str
    adapter: Hash
    index: Hash
    prompt: str
    answer: str
    max_tokens: int


@dataclass(frozen=True, slots=True)
class AnswerScored:
    scores: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Describe:
    """Load a base (once) and say what it is."""

    base: str


@dataclass(frozen=True, slots=True)
class Described:
    base_digest: Hash
    parameters: int
    device: str


Request = (
    NewAdapter
    | Train
    | Gradient
    | Judge
    | InspectAdapter
    | Merge
    | Losses
    | Rows
    | Score
    | CheckRows
    | Generate
    | ScoreAnswer
    | Describe
)
Result = (
    AdapterMade
    | Trained
    | GradientDone
    | Judged
    | AdapterFacts
    | Merged
    | LossesDone
    | RowsDone
    | Scored
    | RowsChecked
    | Generated
    | AnswerScored
    | Described
)

RESULT_OF: dict[type[Request], type[Result]] = {
    NewAdapter: AdapterMade,
    Train: Trained,
    Gradient: GradientDone,
    Judge: Judged,
    InspectAdapter: AdapterFacts,
    Merge: Merged,
    Losses: LossesDone,
    Rows: RowsDone,
    Score: Scored,
    CheckRows: RowsChecked,
    Generate: Generated,
    ScoreAnswer: AnswerScored,
    Describe: Described,
}
_BY_NAME: dict[str, type[Request]] = {cls.__name__: cls for cls in RESULT_OF}


def encode_request(request: Request) -> tuple[str, bytes]:
    """(kind, canonical bytes) for the pipe to the child."""
    return type(request).__name__, pack(request)


def decode_request(kind: str, body: bytes) -> Request:
    """Raises DecodeError for an unknown kind or a non-canonical body."""
    cls = _BY_NAME.get(kind)
    if cls is None:
        raise DecodeError("unknown-request", kind)
    return unpack(cls, body)


@dataclass(frozen=True, slots=True)
class RecordText:
    """One training row as compute sees it: loss on ``completion`` only when there is a prompt."""

    prompt: str
    completion: str


@dataclass(frozen=True, slots=True)
class RecordList:
    """The body of a ``records`` blob."""

    records: tuple[RecordText, ...]
