"""The money sections of a snapshot: slashes, claims, attribution, epochs, answers."""

from node import data
from node.attribute import Finished, finished_jobs
from node.cases import on_trial
from node.committed import active, bodies
from node.context import Context
from node.facade import Json
from node.view_work import optional
from protocol.ids import checksum, short
from protocol.messages import RECEIPT, EpochVote, PotShares, Receipt

TEXT = 160  # characters of a record shown


def _hex(value: bytes) -> str:
    return "0x" + value.hex()


def slashes(ctx: Context) -> list[Json]:
    return [
        {
            "unit": s.unit.hex(),
            "operator": checksum(s.operator),
            "amount": str(s.amount),
            "reporter": checksum(s.reporter),
            "tx": _hex(s.tx),
            "evidence": s.evidence.hex(),
            "block": s.block,
        }
        for s in ctx.board.slashes
    ]


def claims(ctx: Context) -> list[Json]:
    return [
        {
            "owner_index": c.index,
            "amount": str(c.amount),
            "payout": checksum(c.payout),
            "tx": _hex(c.tx),
            "block": c.block,
        }
        for c in ctx.board.claims
    ]


async def attribution(ctx: Context) -> list[Json]:
    found = []
    for body in await bodies(ctx):
        for pot in body.pots:
            found += [_share(ctx, body.epoch, pot, i) for i in range(len(pot.shares))]
    return found


def _share(ctx: Context, epoch: int, pot: PotShares, position: int) -> Json:
    share = pot.shares[position]
    credits = [c for c in pot.credits if c.owner == share.owner and share.role == "contributor"]
    kept = [c.kept_ppm for c in credits]
    return {
        "epoch": epoch,
        "kind": pot.kind,
        "job": pot.subject.hex(),
        "pot": pot.pot.hex(),
        "owner": checksum(ctx.board.owners[share.owner]),
        "owner_index": share.owner,
        "role": share.role,
        "records": len(credits),
        "yielded_ppm": 1_000_000 - sum(kept) // len(kept) if kept else 0,
        "influence": sum(c.influence * c.kept_ppm // 1_000_000 for c in credits),
        "share": str(share.amount),
        "reason": share.reason,
    }


async def epochs(ctx: Context) -> list[Json]:
    return [
        {
            "epoch": e.epoch,
            "root": e.root.hex(),
            "total": str(e.total),
            "leaves": e.leaves,
            "signers": [checksum(seat) for seat in _signers(ctx, e.epoch, e.evidence)],
            "evidence": e.evidence.hex(),
            "tx": _hex(e.tx),
            "block": e.block,
            "active": active(ctx, e),
            "on_trial": on_trial(ctx, e),
        }
        for e in ctx.board.epochs
    ]


def _signers(ctx: Context, number: int, evidence: bytes) -> list[bytes]:
    """Seats whose vote for this epoch's body has arrived here."""
    authors = {
        ctx.operator_of(letter.author)
        for letter in ctx.mail.letters(EpochVote)
        if letter.body.epoch == number and letter.body.body == evidence
    }
    return [seat for seat in ctx.board.seats if seat in authors]


# -- answers ---


async def answers(ctx: Context) -> list[Json]:
    found = []
    for item in await finished_jobs(ctx):
        for post in ctx.board.posted(RECEIPT, item.model):
            receipt: Receipt | None = await optional(ctx, Receipt, post)
            if receipt is not None:
                found.append(await answer(ctx, item, post.value, receipt))
    return found


async def answer(ctx: Context, item: Finished, blob: bytes, receipt: Receipt) -> Json:
    """One answer with its lineage, in the form of the ``answers`` section."""
    dataset = await data.dataset(ctx, item.job)
    texts = {row.record: text for row, text in zip(dataset.rows, dataset.texts, strict=True)}
    owners = {row.record: row.owner for row in dataset.rows}
    names = data.names(ctx)
    split = [f for f in ctx.board.fees if f.channel == receipt.channel]
    return {
        "receipt": blob.hex(),
        "job": receipt.job.hex(),
        "model": receipt.model.hex(),
        "adapter": item.adapter.hex(),
        "lineage": [part.hex() for part in receipt.lineage],
        "host": checksum(receipt.host),
        "prompt": receipt.prompt,
        "text": receipt.answer,
        "base_text": receipt.base_answer,
        "tokens": receipt.tokens,
        "fee": str(receipt.fee),
        "channel": receipt.channel.hex(),
        "records": [
            {
                "record": r.record.hex(),
                "owner": r.owner,
                "datanet": names[r.datanet].name if r.datanet in names else short(r.datanet),
                "score": r.score,
                "text": texts[r.record].completion[:TEXT] if r.record in texts else "",
            }
            for r in receipt.records
        ],
        "spans": [
            {"text": s.text, "record": s.record.hex(), "owner": owners.get(s.record)}
            for s in receipt.spans
        ],
        "split": {
            "host": str(sum(f.host for f in split)),
            "owner": str(sum(f.owner for f in split)),
            "lineage": str(sum(f.lineage for f in split)),
            "contributors": str(sum(f.contributors for f in split)),
            "treasury": str(sum(f.treasury for f in split)),
        },
    }
