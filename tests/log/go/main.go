// A third reading of the contract log, on golang.org/x/mod alone: what holds here, and with the published fsck, does not
// hold because the connector that wrote it says so.
//
//	check log    <vkeys> <folder>                     entries, hash tiles and checkpoint belong together
//	check growth <vkeys> <older> <newer> <path>       the path (base64 lines) shows that the newer note's log begins with the older's
//	check proof  <vkeys> <proof> <leaf>               the .tlog-proof shows that the leaf's bytes are in the log
//
// <vkeys> is a file with verifier keys, one a line, the log's first; each of them must have signed. Ends with 0 and a line
// "holds: size=… root=…", or with 1 and the reason.
package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	tree, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "refused:", err)
		os.Exit(1)
	}
	fmt.Printf("holds: size=%d root=%s\n", tree.N, tree.Hash)
}

func run(args []string) (tlog.Tree, error) {
	switch {
	case len(args) == 3 && args[0] == "log":
		return checkLog(args[1], args[2])
	case len(args) == 5 && args[0] == "growth":
		return checkGrowth(args[1], args[2], args[3], args[4])
	case len(args) == 4 && args[0] == "proof":
		return checkProof(args[1], args[2], args[3])
	}
	return tlog.Tree{}, errors.New("log <vkeys> <folder> | growth <vkeys> <older> <newer> <path> | proof <vkeys> <proof> <leaf>")
}

func checkLog(vkeys, folder string) (tlog.Tree, error) {
	tree, err := head(vkeys, filepath.Join(folder, "checkpoint"))
	if err != nil {
		return tree, err
	}
	// The root out of the entries alone.
	var stored []tlog.Hash
	fromEntries := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		found := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			found[i] = stored[index]
		}
		return found, nil
	})
	files := folderOfTiles(folder)
	for first := int64(0); first < tree.N; first += 256 {
		entries, err := files.bundle(first/256, int(min(256, tree.N-first)))
		if err != nil {
			return tree, err
		}
		for i, entry := range entries {
			hashes, err := tlog.StoredHashes(first+int64(i), entry, fromEntries)
			if err != nil {
				return tree, err
			}
			stored = append(stored, hashes...)
		}
	}
	root, err := tlog.TreeHash(tree.N, fromEntries)
	if err != nil {
		return tree, err
	}
	if root != tree.Hash {
		return tree, errors.New("the entries have another root than the checkpoint")
	}
	// Every hash of the tree out of the tiles, which the reader checks against the root, is that of the entries.
	fromTiles := tlog.TileHashReader(tree, files)
	for from := 0; from < len(stored); from += 4096 {
		part := stored[from:min(from+4096, len(stored))]
		indexes := make([]int64, len(part))
		for i := range part {
			indexes[i] = int64(from + i)
		}
		found, err := fromTiles.ReadHashes(indexes)
		if err != nil {
			return tree, err
		}
		for i := range part {
			if found[i] != part[i] {
				return tree, fmt.Errorf("stored hash %d of the tiles is not that of the entries", from+i)
			}
		}
	}
	return tree, nil
}

func checkGrowth(vkeys, older, newer, path string) (tlog.Tree, error) {
	before, err := head(vkeys, older)
	if err != nil {
		return before, err
	}
	after, err := head(vkeys, newer)
	if err != nil {
		return after, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return after, err
	}
	proof, err := hashes(strings.Fields(string(text)))
	if err != nil {
		return after, err
	}
	return after, tlog.CheckTree(tlog.TreeProof(proof), after.N, after.Hash, before.N, before.Hash)
}

func checkProof(vkeys, file, leaf string) (tlog.Tree, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return tlog.Tree{}, err
	}
	above, signed, found := bytes.Cut(text, []byte("\n\n"))
	lines := strings.Split(string(above), "\n")
	if !found || lines[0] != "c2sp.org/tlog-proof@v1" {
		return tlog.Tree{}, errors.New("this is no .tlog-proof")
	}
	lines = lines[1:]
	if len(lines) > 0 && strings.HasPrefix(lines[0], "extra ") {
		lines = lines[1:]
	}
	if len(lines) == 0 || !strings.HasPrefix(lines[0], "index ") {
		return tlog.Tree{}, errors.New("the proof has no index")
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[0], "index "), 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	proof, err := hashes(lines[1:])
	if err != nil {
		return tlog.Tree{}, err
	}
	tree, err := open(vkeys, signed)
	if err != nil {
		return tree, err
	}
	entry, err := os.ReadFile(leaf)
	if err != nil {
		return tree, err
	}
	return tree, tlog.CheckRecord(tlog.RecordProof(proof), tree.N, tree.Hash, index, tlog.RecordHash(entry))
}

func hashes(lines []string) ([]tlog.Hash, error) {
	found := make([]tlog.Hash, len(lines))
	for i, line := range lines {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return nil, err
		}
		found[i] = hash
	}
	return found, nil
}

func head(vkeys, file string) (tlog.Tree, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return tlog.Tree{}, err
	}
	return open(vkeys, text)
}

func open(vkeys string, text []byte) (tlog.Tree, error) {
	keys, err := os.ReadFile(vkeys)
	if err != nil {
		return tlog.Tree{}, err
	}
	var known []note.Verifier
	for _, vkey := range strings.Fields(string(keys)) {
		verifier, err := verifierOf(vkey)
		if err != nil {
			return tlog.Tree{}, err
		}
		known = append(known, verifier)
	}
	opened, err := note.Open(text, note.VerifierList(known...))
	if err != nil {
		return tlog.Tree{}, err
	}
	if len(opened.Sigs) != len(known) {
		return tlog.Tree{}, fmt.Errorf("%d of %d keys have signed", len(opened.Sigs), len(known))
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[3] != "" || lines[0] != known[0].Name() {
		return tlog.Tree{}, errors.New("this is no checkpoint of the log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || lines[1] != strconv.FormatInt(size, 10) || size < 0 {
		return tlog.Tree{}, errors.New("the checkpoint has no size")
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil || base64.StdEncoding.EncodeToString(root[:]) != lines[2] {
		return tlog.Tree{}, errors.New("the checkpoint has no root")
	}
	return tlog.Tree{N: size, Hash: root}, nil
}
