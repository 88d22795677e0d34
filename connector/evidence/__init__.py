"""The evidence of one agreement: a zip in open formats that verifies when both connectors are gone."""
