"""What a run leaves behind: records, the gate, the bundle and the exporters. Imports no other package of the suite."""
