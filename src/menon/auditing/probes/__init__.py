"""The probes, one file each; a probe is an object with the methods of `menon.auditing.probe.Probe`."""

from menon.core.registry import Registry

PROBES = Registry(
    "probes",
    {
        "data": "menon.auditing.probes.data:DATA",
        "templates": "menon.auditing.probes.templates:TEMPLATES",
        "worlds": "menon.auditing.probes.worlds:WORLDS",
        "analogies": "menon.auditing.probes.analogies:ANALOGIES",
        "minds": "menon.auditing.probes.minds:MINDS",
        "memorisation": "menon.auditing.probes.memorisation:MEMORISATION",
        "frequency": "menon.auditing.probes.frequency:FREQUENCY",
        "horizon": "menon.auditing.probes.horizon:HORIZON",
        "overthinking": "menon.auditing.probes.overthinking:OVERTHINKING",
        "smoke": "menon.auditing.probes.smoke:SMOKE",
    },
    "probe",
)

__all__ = ["PROBES"]
