package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/tlog"
)

// folderOfTiles reads the files of C2SP tlog-tiles.
type folderOfTiles string

func (f folderOfTiles) Height() int                     { return 8 }
func (f folderOfTiles) SaveTiles([]tlog.Tile, [][]byte) {}

func (f folderOfTiles) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	read := make([][]byte, len(tiles))
	for i, tile := range tiles {
		data, err := os.ReadFile(f.path(fmt.Sprint(tile.L), tile.N, tile.W))
		if err != nil {
			return nil, err
		}
		read[i] = data
	}
	return read, nil
}

func (f folderOfTiles) bundle(number int64, width int) ([][]byte, error) {
	data, err := os.ReadFile(f.path("entries", number, width))
	if err != nil {
		return nil, err
	}
	var entries [][]byte
	for len(data) > 0 {
		if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
			return nil, fmt.Errorf("bundle %d ends within an entry", number)
		}
		end := 2 + int(binary.BigEndian.Uint16(data))
		entries = append(entries, data[2:end])
		data = data[end:]
	}
	if len(entries) != width {
		return nil, fmt.Errorf("bundle %d has %d entries, and not %d", number, len(entries), width)
	}
	return entries, nil
}

func (f folderOfTiles) path(kind string, number int64, width int) string {
	name := fmt.Sprintf("%03d", number%1000)
	for number /= 1000; number > 0; number /= 1000 {
		name = fmt.Sprintf("x%03d/%s", number%1000, name)
	}
	if width < 256 {
		name = fmt.Sprintf("%s.p/%d", name, width)
	}
	return filepath.Join(string(f), "tile", kind, name)
}
