"""How fast tokens are issued: codes exchanged and refresh tokens rotated, each used once, as a stock client does.

Every connection is one caller. It exchanges codes that no other has, or follows a chain: each request sends the refresh
token of the last answer.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from benchmarks import rounds
from benchmarks.log import Log
from benchmarks.ratios import circumstances, say
from benchmarks.rounds import Protocol, Sample
from benchmarks.seed import CALLBACK, VERIFIER
from benchmarks.stores import Store
from benchmarks.targets import basic, of_product, product
from benchmarks.wrk import Load

CONNECTIONS = 8
ROUNDS = 3
# More than there are, or a code would be sent twice, which ends the run.
MAX_PER_SECOND = 2000
ISSUED = "event IN ('token.issued', 'token.refreshed')"


def measure(store: Store, protocol: Protocol) -> dict[str, Any]:
    """Return the same figures as a block of verify, as medians of rounds that measure each operation once."""
    say(f"{store.name}, exchange and refresh")
    protocol = replace(protocol, warm_up=1)
    number = MAX_PER_SECOND * protocol.seconds
    seeded = store.seeded(codes=2 * ROUNDS * number, chains=2 * ROUNDS * CONNECTIONS)
    with product(store, seeded) as server:
        log, unused = Log(seeded.database, ISSUED), loads(seeded.given, number)

        def take(name: str) -> Sample:
            used = [next(unused[name]).write(store.folder, f"{name}-{part}", CONNECTIONS) for part in range(2)]
            target = of_product(name, server, Load([]))
            return rounds.sample(target, (used[0], used[1]), store.pids, CONNECTIONS, protocol, log, CONNECTIONS)

        done = [{name: take(name) for name in unused} for _ in range(ROUNDS)]
        return {**circumstances(store, server, log, CONNECTIONS), "targets": rounds.targets_of(done)}


def loads(given: dict[str, Any], number: int) -> dict[str, Iterator[Load]]:
    """Yield loads that share no code and no chain, for each operation."""
    headers = {"Authorization": basic(*given["client"]), "Content_Type": "application/json"}

    def exchanges() -> Iterator[Load]:
        for first in range(0, len(given["codes"]), number):
            codes = given["codes"][first : first + number]
            fields = {"codeVerifier": VERIFIER, "redirectUri": CALLBACK}
            bodies = [json.dumps({"code": code, **fields}) for code in codes]
            yield Load.of_bodies("/api/v1/tokens/exchange", bodies, **headers)

    def refreshes() -> Iterator[Load]:
        for first in range(0, len(given["refreshTokens"]), CONNECTIONS):
            chains = given["refreshTokens"][first : first + CONNECTIONS]
            bodies = [json.dumps({"refreshToken": token}) for token in chains]
            yield replace(Load.of_bodies("/api/v1/tokens/refresh", bodies, **headers), chain="refreshToken")

    return {"exchange": exchanges(), "refresh": refreshes()}
