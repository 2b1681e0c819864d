"""The flowchart language: strategies of reasoning written as Mermaid charts, checked and executed."""
