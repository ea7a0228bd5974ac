"""What is written while a training runs: readable at any time, without doubles after a restart."""

import os

import pandas as pd
import pytest

from lasoftmoe.training.logs import CsvLog, Logs, TensorBoardLog

COLUMNS = ["step", "epoch", "loss", "dev_auc"]


def row(step, loss=0.5):
    return {"step": step, "epoch": 0, "loss": loss, "dev_auc": None}


def test_csv_can_be_read_while_it_grows(tmp_path):
    log = CsvLog(tmp_path / "log.csv")
    log(row(0))
    assert pd.read_csv(tmp_path / "log.csv")["step"].tolist() == [0]
    log({**row(1), "dev_auc": 0.75})
    log.close()
    table = pd.read_csv(tmp_path / "log.csv")
    assert table["dev_auc"].isna().tolist() == [True, False]
    assert list(table) == COLUMNS


def test_steps_that_are_repeated_replace_what_was_written(tmp_path):
    first = CsvLog(tmp_path / "log.csv")
    for step in range(5):
        first(row(step, loss=1.0))
    first.close()
    with (tmp_path / "log.csv").open("a") as file:
        file.write("5,0")  # half a row, as a killed process leaves it
    again = CsvLog(tmp_path / "log.csv")
    again(row(3, loss=2.0))
    again.close()
    table = pd.read_csv(tmp_path / "log.csv")
    assert table["step"].tolist() == [0, 1, 2, 3]
    assert table["loss"].tolist() == [1.0, 1.0, 1.0, 2.0]


@pytest.mark.parametrize("content", [b"\xff\xfe", b"step,epoch\nmany,0\n", b'"', b"hello", None])
def test_a_damaged_file_stops_no_training(tmp_path, content):
    path = tmp_path / "log.csv"
    os.mkfifo(path) if content is None else path.write_bytes(content)
    log = CsvLog(path)
    log(row(3))
    log.close()
    assert pd.read_csv(path)["step"].tolist() == [3]


def test_a_training_from_the_start_drops_an_old_file(tmp_path):
    for loss in (1.0, 2.0):
        log = CsvLog(tmp_path / "log.csv")
        log(row(0, loss))
        log.close()
    assert pd.read_csv(tmp_path / "log.csv")["loss"].tolist() == [2.0]


@pytest.mark.slow
def test_tensorboard_shows_every_step_once_after_a_restart(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    first = TensorBoardLog(tmp_path)
    for step in range(5):
        first(row(step, loss=1.0))
    first.close()
    again = TensorBoardLog(tmp_path)
    for step in range(3, 6):
        again(row(step, loss=2.0))
    again.close()
    events = EventAccumulator(str(tmp_path)).Reload()
    scalars = [(event.step, event.value) for event in events.Scalars("loss")]
    assert scalars == [(0, 1.0), (1, 1.0), (2, 1.0), (3, 2.0), (4, 2.0), (5, 2.0)]


def test_all_followers_get_each_row_and_files_are_closed_after_an_error(tmp_path):
    seen = []
    with pytest.raises(KeyboardInterrupt), Logs(tmp_path, False, seen.append) as logs:
        logs(row(0))
        logs(row(1))
        raise KeyboardInterrupt
    assert [r["step"] for r in seen] == [0, 1]
    assert pd.read_csv(tmp_path / "log.csv")["step"].tolist() == [0, 1]
    assert not (tmp_path / "tensorboard").exists()
