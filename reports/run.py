"""The facts of a run: which clusters, which suite, when, under which policy, and whether it came to its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

SCHEMA = "kubeworthy/run/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterInfo:
    """One cluster that was looked at.

    `id` is the name that records carry; `kind` is `embedded`, `kind`, `live` or `snapshot`; `fingerprint` tells this
    cluster from a namesake (made of content only, e.g. the UID of the namespace kube-system).
    """

    id: str
    kind: str
    fingerprint: str = ""
    server_version: str = ""
    capabilities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One kind as it was listed: how many objects, at which resourceVersion, in how many pages."""

    kind: str
    count: int
    resource_version: str = ""
    pages: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """Everything about a run that is not a record.

    `started` and `ended` are UTC in RFC 3339; `ended` is empty while the run goes on. `selection` holds the patterns
    and folders that were asked for; `tools` names versions. `complete` is true only if every selected check came to
    its end, and `incomplete` says why not, a sentence each. `waivers` holds property, subjects, reason, owner,
    approver, expires and state (`used`, `unused`, `expired`) of each waiver; `attestations` holds property, statement,
    owner, role, date, link, expires and state (`used`, `unused`, `expired`, `contradicted`) of each attestation; values
    are plain texts. `requirements` counts the requirement lines of all source documents, 0 if that is not known.
    `docs_url` is the address below which the `doc` paths of the properties are found; empty, links go to the copies
    in the bundle.
    """

    clusters: tuple[ClusterInfo, ...]
    suite_version: str
    started: str
    ended: str = ""
    tools: dict[str, str] = field(default_factory=dict)
    profile: str = ""
    policy_digest: str = ""
    selection: tuple[str, ...] = ()
    waivers: tuple[dict[str, str], ...] = ()
    attestations: tuple[dict[str, str], ...] = ()
    inventory: tuple[Listed, ...] = ()
    complete: bool = False
    incomplete: tuple[str, ...] = ()
    requirements: int = 0
    docs_url: str = ""

    @property
    def cluster_ids(self) -> tuple[str, ...]:
        """The ids of the clusters, in the order of the run."""
        return tuple(cluster.id for cluster in self.clusters)

    def as_json(self) -> dict[str, Any]:
        """The content of run.json."""
        plain = asdict(self)
        for key, value in plain.items():
            plain[key] = list(value) if isinstance(value, tuple) else value
        return {"schema": SCHEMA, **plain}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> RunInfo:
        """Read run.json back. Raises KeyError, TypeError or ValueError for something else."""
        fields = dict(plain)
        if (schema := fields.pop("schema", None)) != SCHEMA:
            raise ValueError(f"schema {schema!r} is not {SCHEMA!r}")
        clusters = [{**each, "capabilities": tuple(each["capabilities"])} for each in fields.pop("clusters")]
        listed = tuple(Listed(**each) for each in fields.pop("inventory"))
        for key in ("selection", "waivers", "attestations", "incomplete"):
            fields[key] = tuple(fields[key])
        return cls(clusters=tuple(ClusterInfo(**each) for each in clusters), inventory=listed, **fields)
