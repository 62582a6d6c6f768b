"""The office of this campaign: who signs its documents, and how it says so."""

LAB = "signtest"
SIGNERS = {"pranata": "Nama Pranata Komputer", "kabid": "Nama Kepala Bidang"}
SETTINGS = "\nsignatures: {by: pkcs12, authorities: otoritas.pem}\n"
