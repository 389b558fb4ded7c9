"""The file format of workbooks at the level of parts, cells and names, for checks and forms."""
