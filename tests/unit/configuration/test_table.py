"""The table of settings in config/README.md is that of the types."""

from lcrp.configuration.table import BEGIN, END, settings_table, write_table


def test_the_table_for_people_is_up_to_date(root):
    text = (root / "config/README.md").read_text()
    written = text.partition(BEGIN)[2].partition(END)[0].strip()
    assert written == settings_table(), "run `make schemas`"


def test_every_row_says_what_an_entry_means():
    rows = settings_table().splitlines()[2:]
    assert len(rows) > 80
    for row in rows:
        entry, _, meaning = [cell.strip() for cell in row.split("|")[1:4]]
        assert entry.startswith("`") and len(meaning) > 5, row


def test_what_stands_around_the_table_stays(tmp_path):
    path = tmp_path / "README.md"
    path.write_text(f"before\n\n{BEGIN}\n\nstale row\n\n{END}\n\nafter\n")
    write_table(path)
    text = path.read_text()
    assert (
        text.startswith("before\n")
        and text.endswith(f"{END}\n\nafter\n")
        and "stale row" not in text
    )
