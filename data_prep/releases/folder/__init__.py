"""Anybody's own images and videos as a prepared dataset: two folders, live and fake."""

from data_prep.releases.folder.importer import FolderOptions, import_folders

__all__ = ["FolderOptions", "import_folders"]
