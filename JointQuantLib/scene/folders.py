"""Subject hierarchy folders: hand, visit or pair of visits, joint."""

from __future__ import annotations


class Folders:
    """Puts nodes into nested folders of the subject hierarchy, which it makes as they are asked for."""

    def __init__(self, scene, title: str):
        import slicer

        self.hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
        self.root = self.hierarchy.CreateFolderItem(self.hierarchy.GetSceneItemID(), title)
        self._items: dict[tuple[str, ...], int] = {(): self.root}

    def put(self, node, *path: str) -> None:
        """Put a node (None is passed over) under the root, in the folders named."""
        if node is None:
            return
        item = self.hierarchy.GetItemByDataNode(node)
        if item:  # the application made it when the node was added
            self.hierarchy.SetItemParent(item, self._folder(path))
        else:
            self.hierarchy.CreateItem(self._folder(path), node)

    def _folder(self, path: tuple[str, ...]) -> int:
        if path not in self._items:
            self._items[path] = self.hierarchy.CreateFolderItem(self._folder(path[:-1]), path[-1])
        return self._items[path]
