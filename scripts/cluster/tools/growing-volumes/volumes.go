package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// What mkfs.xfs makes at least.
const smallest = 300 << 20

// volumes are the images of one node: `<name>.img`, mounted on `<name>/`.
type volumes struct{ folder string }

func (v *volumes) image(name string) string  { return filepath.Join(v.folder, name+".img") }
func (v *volumes) target(name string) string { return filepath.Join(v.folder, name) }

// data is what a pod sees. It exists only while the image is mounted: a pod that comes first is refused and tries again.
func (v *volumes) data(name string) string { return filepath.Join(v.target(name), "data") }

func run(argv ...string) (string, error) {
	printed, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, printed)
	}
	return strings.TrimSpace(string(printed)), nil
}

func (v *volumes) create(name string, bytes int64) error {
	if _, err := os.Stat(v.image(name)); err == nil {
		return nil
	}
	partial := v.image(name) + ".partial"
	file, err := os.Create(partial)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := file.Truncate(max(bytes, smallest)); err != nil {
		return err
	}
	if _, err := run("mkfs.xfs", "-q", "-f", partial); err != nil {
		return err
	}
	return os.Rename(partial, v.image(name))
}

func (v *volumes) mount(name string) error {
	target := v.target(name)
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	if exec.Command("mountpoint", "-q", target).Run() == nil {
		return nil
	}
	// The loop device goes with its last mount, so nothing stays when a node loses power or the cluster goes down.
	if _, err := run("mount", "-t", "xfs", "-o", "loop,noatime,discard", v.image(name), target); err != nil {
		return err
	}
	// A growth that was interrupted.
	if _, err := run("xfs_growfs", target); err != nil {
		return err
	}
	if err := os.MkdirAll(v.data(name), 0o777); err != nil {
		return err
	}
	return os.Chmod(v.data(name), 0o777)
}

func (v *volumes) grow(name string, bytes int64) error {
	file, err := os.Stat(v.image(name))
	if err != nil {
		return err
	}
	// Never less than it is: the file system would lose its end.
	if err := os.Truncate(v.image(name), max(bytes, file.Size())); err != nil {
		return err
	}
	device, err := run("findmnt", "--noheadings", "--first-only", "--output", "SOURCE", "--mountpoint", v.target(name))
	if err != nil {
		return err
	}
	if _, err := run("losetup", "--set-capacity", device); err != nil {
		return err
	}
	_, err = run("xfs_growfs", v.target(name))
	return err
}

func (v *volumes) remove(name string) error {
	for exec.Command("mountpoint", "-q", v.target(name)).Run() == nil {
		if _, err := run("umount", v.target(name)); err != nil {
			return err
		}
	}
	for _, path := range []string{v.image(name), v.target(name)} {
		if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return nil
}
