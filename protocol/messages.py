"""The messages of the whole flow: gossiped announcements, bodies fetched by id, and direct requests.

Order and finality come from the chain (``CommitLog`` topics below); gossip only carries what the chain
points to. Bodies larger than a gossip message travel as blobs whose id is on chain or in an announcement.
"""

from dataclasses import dataclass
from typing import Annotated

from eth_utils.crypto import keccak

from protocol.codec import Max, Size, pack
from protocol.compute import Hyper, RecordText
from protocol.credit import Share
from protocol.ids import Address, Hash, Name, content_id, topic

# CommitLog topics: (subject -> value)
NODE = "node"  # peer public key -> role bits
NODE_PROOF = "node-proof"  # the peer key's signature over the operator, in halves (possession.py)
SHARD = "shard"  # Datanet id -> commitment
REVEAL = "reveal"  # commitment -> blob id of the reveal
HELD = "held"  # commitment -> blob id of the reveal (an aggregator that holds all of the shard)
UNIT = "unit"  # unit id -> blob id of the UnitBody
ROUND = "round"  # round id -> blob id of the merged adapter (an aggregator each)
VERDICT = "verdict"  # topic "verdict/FINDING": unit id -> blob id of the VerdictBody
RULING = "ruling"  # topic "ruling/FINDING": the same by a committee member
ROWS = "rows"  # job id -> blob id of the RowsBody
QUERIES = "queries"  # job id -> blob id of the QueriesBody
SCORES = "scores"  # job id -> blob id of the ScoresBody
SCORED = "scored"  # topic "scored/FINDING": scores blob id -> blob id of a ScoreCheck
RECEIPT = "receipt"  # model id -> blob id of the receipt
RECEIPT_CHECK = "checked"  # topic "checked/FINDING": receipt blob id -> scores blob id

Signature = Annotated[bytes, Size(65)]
Url = Annotated[str, Max(256)]
ShortText = Annotated[str, Max(512)]


# -- gossiped ---


@dataclass(frozen=True, slots=True)
class OldNodeRecord:
    """A node record of wire version 1."""

    operator: Address
    roles: int
    addrs: Annotated[tuple[Url, ...], Max(8)]
    seal_key: Hash  # X25519
    agent: Name
    operator_signature: Signature


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """Who runs at this peer id: peer key, operator key and payout address in one statement.

    The operator key signs it over the peer key, the envelope is signed by the peer key, and the
    payout address is the one that the operator declares; what the chain says of it decides.
    """

    operator: Address
    roles: int
    addrs: Annotated[tuple[Url, ...], Max(8)]
    seal_key: Hash  # X25519
    agent: Name
    payout: Address
    reach: Annotated[str, Max(16)]  # its own verdict: bootstrap/reach.py
    operator_signature: Signature


@dataclass(frozen=True, slots=True)
class DatanetRecord:
    """The manifest of a Datanet: its content. Whose it is, with which class in force, the chain says."""

    name: Name
    version: int
    data_class: Name
    licence: Name
    description: ShortText


@dataclass(frozen=True, slots=True)
class JobSpec:
    """One fine-tune. Its hash is on chain with the escrow; data are what was revealed by the job's block."""

    name: Name
    base: ShortText
    base_digest: Hash
    start: Hash  # blob id of the start adapter
    datanets: Annotated[tuple[Hash, ...], Max(16)]
    include_private: bool
    rounds: int
    workers: int
    escrow: int
    unit_pay: int
    rule_version: int
    hyper: Hyper
    builder: Address

    @property
    def digest(self) -> bytes:
        return content_id(pack(self))

    @property
    def job(self) -> bytes:
        """Job id, also the id of its pot: AttributionPool.potId(builder, digest)."""
        return keccak(bytes(12) + self.builder + self.digest)


@dataclass(frozen=True, slots=True)
class BlobHint:
    """The author holds these blobs and serves them."""

    blobs: Annotated[tuple[Hash, ...], Max(64)]


@dataclass(frozen=True, slots=True)
class SlashVote:
    """A committee member's EIP-712 signature under a slash."""

    unit: Hash
    operator: Address
    amount: int
    evidence: Hash
    reporter: Address
    signature: Signature


@dataclass(frozen=True, slots=True)
class EpochVote:
    """An aggregator's EIP-712 signature under an epoch; ``body`` is the blob id of the EpochBody."""

    epoch: int
    body: Hash
    signature: Signature


GOSSIP = (NodeRecord, DatanetRecord, JobSpec, BlobHint, SlashVote, EpochVote)


# -- bodies (blobs) ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class UnitBody:
    """What a worker publishes with its anchored root: all leaves and the training log."""

    unit: Hash
    job: Hash
    round: int
    worker: Address
    leaves: tuple[Hash, ...]  # K + 1
    states: tuple[Hash, ...]  # T_0..T_K
    losses_micro: tuple[int, ...]
    tokens: int
    adapter: Hash
    signature: Signature  # EIP-712 WorkCommitment(unit, root, adapter)


@dataclass(frozen=True, slots=True)
class StepFinding:
    """One verifier's finding on one step. ``finding``: '', 'A', 'B', 'C', 'D', 'no-reveal', 'no-data'."""

    step: int
    finding: Name
    distance_ppb: int
    optimiser_ppb: int
    commitment: Hash  # H(salt, own gradient), given to the worker before it revealed g
    salt: Hash
    own: Hash  # digest of the verifier's gradient


@dataclass(frozen=True, slots=True)
class VerdictBody:
    """A verifier's (or committee member's) signed findings on one unit."""

    unit: Hash
    verifier: Address
    steps: tuple[StepFinding, ...]
    signature: Signature  # EIP-712 VerdictStatement(unit, step, finding, evidence)


@dataclass(frozen=True, slots=True)
class RowsBody:
    job: Hash
    adapter: Hash
    records: tuple[Hash, ...]  # record ids, in the order of the rows
    rows: tuple[Hash, ...]


@dataclass(frozen=True, slots=True)
class OpenedRecord:
    record: Hash
    owner: int
    datanet: Hash
    text: RecordText


@dataclass(frozen=True, slots=True)
class QueriesBody:
    job: Hash
    records: tuple[OpenedRecord, ...]


@dataclass(frozen=True, slots=True)
class ScoresBody:
    job: Hash
    rows: Hash  # blob id of the RowsBody
    queries: Hash  # blob id of the QueriesBody
    evidence: Hash
    index: Hash
    scores: tuple[tuple[int, ...], ...]  # [query][row]
    losses: tuple[tuple[int, ...], ...]  # [start, after each round][query], nats a token x 1e6
    without_private: tuple[int, ...]  # [query], under the last merge without private updates


@dataclass(frozen=True, slots=True)
class ScoreCheck:
    """A drawn verifier's finding on a ScoresBody."""

    scores: Hash
    verifier: Address
    rows: tuple[int, ...]  # row positions drawn
    queries: tuple[int, ...]  # positions of the queries whose losses were measured again
    row_ppb: tuple[int, ...]
    evidence_ppb: int
    score_ppm: int  # largest difference to the re-derived scores
    loss_ppm: int  # largest relative difference of such a loss
    finding: Name


@dataclass(frozen=True, slots=True)
class RowCredit:
    """What one record earned in one pot."""

    record: Hash
    owner: int
    influence: int
    kept_ppm: int


@dataclass(frozen=True, slots=True)
class PotShares:
    """One pot divided: shares sum to ``amount`` to the last unit."""

    pot: Hash
    kind: Name  # job, answer
    subject: Hash  # job id, receipt id
    amount: int
    shares: tuple[Share, ...]
    credits: tuple[RowCredit, ...]


@dataclass(frozen=True, slots=True)
class DrawEntry:
    pot: Hash
    amount: int


@dataclass(frozen=True, slots=True)
class EpochBody:
    """All that an epoch's root follows from; its blob id is the evidence hash on chain."""

    epoch: int
    previous_root: Hash
    rule_version: int
    draws: tuple[DrawEntry, ...]
    pots: tuple[PotShares, ...]
    cumulative: tuple[int, ...]  # by owner index


@dataclass(frozen=True, slots=True)
class AnswerRecord:
    """A record that moved an answer."""

    record: Hash
    owner: int
    datanet: Hash
    score: int


@dataclass(frozen=True, slots=True)
class Span:
    """A verbatim run of an answer that stands in a record."""

    record: Hash
    start: int
    text: ShortText


@dataclass(frozen=True, slots=True)
class Receipt:
    """The signed lineage of one answer."""

    request: Hash
    job: Hash
    model: Hash  # that is paid: the builder's asset, as the request named it
    base_digest: Hash
    lineage: tuple[Hash, ...]  # contents: base digest, start adapter, adapter
    host: Address
    channel: Hash
    rule_version: int  # as the request named it
    fee: int
    prompt: Annotated[str, Max(8_192)]
    answer: Annotated[str, Max(16_384)]
    base_answer: Annotated[str, Max(16_384)]
    max_tokens: int
    tokens: int
    scores: tuple[int, ...]  # by row of the scores body
    records: tuple[AnswerRecord, ...]  # top
    spans: tuple[Span, ...]
    signature: Signature  # EIP-712 ReceiptRoot


# -- direct requests ---


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """Envelope ids the asker holds; the answer carries what it lacks."""

    have: Annotated[tuple[Hash, ...], Max(4_096)]


@dataclass(frozen=True, slots=True)
class SyncAnswer:
    envelopes: Annotated[tuple[bytes, ...], Max(256)]


@dataclass(frozen=True, slots=True)
class RevealRequest:
    """A drawn verifier asks for a step's state; with ``commitment`` it asks for the gradient too."""

    unit: Hash
    step: int
    commitment: Hash  # 32 zero bytes: state only


@dataclass(frozen=True, slots=True)
class RevealAnswer:
    """Blob ids of (w, m, v)_i, then g_i; empty gradient until a commitment was given."""

    w: Hash
    m: Hash
    v: Hash
    g: Hash
    proof: tuple[Hash, ...]  # leaf i under the anchored root; empty until the gradient is revealed


@dataclass(frozen=True, slots=True)
class InferRequest:
    """A user's paid request; the voucher covers everything acknowledged plus this answer's maximum."""

    request: Hash
    model: Hash  # asset id
    prompt: Annotated[str, Max(8_192)]
    max_tokens: int
    channel: Hash
    ceiling: int
    rule_version: int  # that price and split follow
    signature: Signature  # EIP-712 Voucher over the usage list with this ceiling


@dataclass(frozen=True, slots=True)
class InferAnswer:
    receipt: Hash  # blob id
    fee: int
    cumulative: int  # acknowledged sum of the channel after this answer


@dataclass(frozen=True, slots=True)
class VoucherNote:
    """The payer's final voucher for what was delivered."""

    channel: Hash
    asset: Hash
    rule_version: int
    cumulative: int
    signature: Signature


FINDINGS = ("ok", "A", "B", "C", "D", "no-reveal", "no-data")


def judged(kind: str, finding: str) -> bytes:
    """The CommitLog topic of a finding, e.g. ``verdict/B``; the value is the body's blob id."""
    if finding not in FINDINGS:
        raise ValueError(f"unknown finding {finding!r}")
    return topic(f"{kind}/{finding}")
