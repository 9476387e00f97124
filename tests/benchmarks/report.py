"""Figures to tables, which are Markdown too, so that they can be copied into the README."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table


def show(results: Mapping[str, Any], console: Console) -> None:
    """Print every table that there are figures for."""
    kind = results["machine"]
    console.print(f"\n{kind['cpu']}, {kind['cores']} cores, {' '.join(kind['flags'])}; torch {kind['torch']}")
    if "floor" in results:
        _show_floor(results["floor"], console)
    if "service" in results:
        _show_service(results["service"], console)
    if "specials" in results:
        _show_specials(results["specials"], console)
        _show_gpu(results["gpu"], console)
    if "peers" in results:
        _show_peers(results["peers"], console)


def _show_floor(floor: Mapping[str, Any], console: Console) -> None:
    threads = list(dict.fromkeys(row["threads"] for row in floor["model"]))
    sizes = sorted({row["size"] for row in floor["model"]})
    table = _table(
        "Bare module, images/s by batch size", ["form", "precision", "operation", "threads"], sizes
    )
    groups: dict[tuple[str, ...], dict[int, float]] = {}
    for row in floor["model"]:
        key = (row["form"], row["precision"], row["operation"], row["threads"])
        groups.setdefault(key, {})[row["size"]] = row["items_per_second"]
    for key, rates in sorted(groups.items(), key=lambda item: (*item[0][:3], threads.index(item[0][3]))):
        table.add_row(*key, *(f"{rates[size]:,.0f}" for size in sizes))
    console.print(table)
    table = _table("Codecs, CPU microseconds an image", ["codec"], ["us"])
    for name, value in floor["codecs"].items():
        table.add_row(name, f"{value:,}" if name.endswith("bytes") else f"{1e6 * value:,.1f}")
    console.print(table)


def _show_service(rows: Sequence[Mapping[str, Any]], console: Console) -> None:
    numbers = ["clients", "req/s", "images/s", "p50 ms", "p99 ms", "p99.9 ms", "errors", "floor req/s"]
    shares = ["of floor", "less wrk", "less others", "of CPU time", "server cores", "wrk", "others", "RSS MB"]
    table = _table("Service under load", ["form", "precision", "workload"], numbers + shares)
    for row in rows:
        table.add_row(
            *(row[key] for key in ("form", "precision", "workload")),
            f"{row['clients']}",
            *(f"{row[key]:,.0f}" for key in ("requests_per_second", "images_per_second")),
            *(f"{1000 * row[f'{key}_seconds']:,.1f}" for key in ("p50", "p99", "p999")),
            f"{row['num_errors']}",
            f"{row['floor_requests_per_second']:,.0f}",
            *(f"{row[f'of_{key}']:.2f}" for key in ("floor", "floor_less_wrk", "floor_less_others")),
            f"{row['of_core_seconds']:.2f}",
            *(f"{row[f'{key}_cores']:.2f}" for key in ("server", "wrk", "other")),
            f"{row['rss_bytes'] / 1e6:,.0f}",
        )
    console.print(table)


def _show_specials(found: Mapping[str, Any], console: Console) -> None:
    alone, beside = found["alone"], found["beside"]
    extra = alone["sample_p50_seconds"] - alone["bare_p50_seconds"]
    rise = beside["beside_p99_seconds"] - beside["alone_p99_seconds"]
    rows = {
        "ready after, s (median of starts)": f"{statistics.median(found['start_seconds']):.1f}",
        "RSS when ready, MB": f"{found['start_rss_bytes'] / 1e6:,.0f}",
        "n=1, one client, p50, ms": f"{1000 * alone['sample_p50_seconds']:.2f}",
        "bare module, batch 1, p50, ms": f"{1000 * alone['bare_p50_seconds']:.2f}",
        "more than the bare module, ms": f"{1000 * extra:.2f}",
        "n=1, one client, p99, ms": f"{1000 * beside['alone_p99_seconds']:.1f}",
        "the same beside n=64, p99, ms": f"{1000 * beside['beside_p99_seconds']:.1f}",
        "rise, ms": f"{1000 * rise:.1f}",
    }
    if "growth" in found:
        requests = found["growth"]["rss"][-1]["requests"]
        rows[f"growth of RSS over {requests:,} requests, MB"] = f"{found['growth']['growth_bytes'] / 1e6:.1f}"
    table = _table("Specials", ["figure"], ["value"])
    for name, value in rows.items():
        table.add_row(name, value)
    console.print(table)


def _show_gpu(found: Mapping[str, Any] | None, console: Console) -> None:
    if found is None:
        console.print("\nGPU: not yet measured")
        return
    columns = ["size", "images/s", "H2D share", "D2H share"]
    table = _table("CUDA graph, bare decode", ["form", "precision"], columns)
    for row in found["graphs"]:
        total = row["replay_seconds"] + row["h2d_seconds"] + row["d2h_seconds"]
        shares = (row[f"{name}_seconds"] / total for name in ("h2d", "d2h"))
        rate = f"{row['size'] / row['replay_seconds']:,.0f}"
        table.add_row(
            row["form"], row["precision"], str(row["size"]), rate, *(f"{share:.2f}" for share in shares)
        )
    console.print(table)
    best = max(row["size"] / row["replay_seconds"] for row in found["graphs"])
    table = _table(
        "Replicas sharing the GPU, n=16", ["replicas"], ["images/s", "of the graph", "server cores"]
    )
    for row in found["replicas"]:
        rate = row["images_per_second"]
        table.add_row(
            str(row["replicas"]), f"{rate:,.0f}", f"{rate / best:.2f}", f"{row['server_cores']:.1f}"
        )
    console.print(table)


def _show_peers(peers: Mapping[str, Any], console: Console) -> None:
    columns = ["min", "median", "max"]
    rates = _table("32 clients, requests/s of each round", ["workload", "server"], columns)
    ratios = _table("Ratio, round by round", ["workload", "service", "to"], [*columns, "less others"])
    for workload, found in peers.items():
        for server, rounds in found["turns"].items():
            seen = [turn["requests_per_second"] for turn in rounds]
            three = (min(seen), statistics.median(seen), max(seen))
            rates.add_row(workload, server, *(f"{rate:,.1f}" for rate in three))
        for peer, rows in found["ratios"].items():
            for name, ratio in rows.items():
                ratios.add_row(workload, name, peer, *(f"{value:.1f}" for value in ratio.values()))
    console.print(rates, ratios)
    settings = _table("LitServe's best settings of those searched", ["workload", "settings"], ["searched"])
    for workload, found in peers.items():
        chosen = ", ".join(f"{name} {value}" for name, value in found["best_settings"].items())
        settings.add_row(workload, chosen, str(len(found["searched"])))
    console.print(settings)


def _table(title: str, names: Sequence[str], numbers: Sequence[object]) -> Table:
    table = Table(title=title, title_justify="left", box=box.MARKDOWN)
    for name in names:
        table.add_column(name, no_wrap=True)
    for number in numbers:
        table.add_column(str(number), justify="right", no_wrap=True)
    return table
