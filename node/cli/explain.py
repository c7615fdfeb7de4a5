"""How ``claim --explain`` is printed: the way of the money, and where it waits."""

from typing import Any

from node.cli.output import money, percent, print_line, print_table, short


def print_explained(value: dict[str, Any]) -> None:
    """Task, verdict, score, share, root, proof, window; then what is not paid, and why."""
    print_line(value["reason"])
    print_line(f"Claimable {money(value['claimable'])}, claimed so far {money(value['claimed'])}\n")
    for task in value["tasks"]:
        _print_task(task)
    if not value["tasks"]:
        print_line(
            "No task has paid or used this node yet: you earn when records or verified work count.\n"
        )
    shares = [
        (s["epoch"], s["kind"], s["role"], money(s["share"]), s["reason"]) for s in value["shares"]
    ]
    print_table(["Epoch", "Pot", "Role", "Share", "Why"], shares, "No share yet.\n")
    lost = [(r["what"], short(r["id"]), r["state"], r["why"]) for r in value["rejected"]]
    print_table(["Not paid", "Id", "State", "Why"], lost, "Nothing failed or was rejected.\n")
    epochs = [(e["epoch"], short(e["root"]), epoch_state(e)) for e in value["epochs"]]
    print_table(["Epoch", "Root", "State"], epochs, "No epoch is committed yet.")
    if value["proof"]:
        _print_proof(value["proof"])


def epoch_state(epoch: dict[str, Any]) -> str:
    """How far an epoch is."""
    if epoch["on_trial"]:
        return "challenged, before a jury"
    return "claimable" if epoch["active"] else "in its challenge window"


def _print_task(task: dict[str, Any]) -> None:
    print_line(f"{task['name']} ({short(task['job'])}): {task['stage']}, {task['why']}")
    for unit in task["units"]:
        why = f", {unit['reason']}" if unit["reason"] else ""
        print_line(f"  unit {short(unit['unit'])} of round {unit['round']}: {unit['state']}{why}")
        for finding in unit["findings"]:
            print_line(f"    {finding}")
    if task["checks"]:
        print_line(f"  {task['checks']} steps of others checked")
    if task["score"]:
        score = task["score"]
        yielded = percent(score["yielded_ppm"])
        print_line(
            f"  score {score['influence']} of {score['records']} records, {yielded} yielded to earlier ones"
        )
    for share in task["shares"]:
        print_line(
            f"  {money(share['share'])} as {share['role']} in epoch {share['epoch']}: {share['reason']}"
        )
    if task["root"]:
        print_line(f"  root {short(task['root'])}")
    print_line("")


def _print_proof(proof: dict[str, Any]) -> None:
    valid = "fits the root" if proof["valid"] else "DOES NOT FIT the root"
    print_line(
        f"\nLeaf {proof['index']} of {proof['leaves']} in epoch {proof['epoch']}: "
        f"{money(proof['cumulative'])} in all, a proof of {proof['siblings']} siblings {valid}"
    )
    left = proof["seconds_left"]
    if left is None:
        print_line("Its window stands still until a jury has decided")
    else:
        print_line(f"Its window ends in {left} s" if left else "Its window is over")
