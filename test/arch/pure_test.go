package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// pureFolders hold code that gets its time as an argument and starts nothing: that
// is what lets the same code run in the daemon, under a fuzzer and in virtual time.
var pureFolders = []string{"control/l2tp", "control/ppp", "control/pool", "control/ip6", "control/nd", "control/dhcp6", "control/session"}

var clockCalls = map[string]bool{
	"Now": true, "Since": true, "Until": true, "Sleep": true, "After": true,
	"AfterFunc": true, "NewTimer": true, "NewTicker": true, "Tick": true,
}

func TestPureCodeReadsNoClockAndStartsNothing(t *testing.T) {
	files := 0
	for _, folder := range pureFolders {
		err := filepath.WalkDir("../../"+folder, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			files++
			inspect(t, path)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < len(pureFolders) {
		t.Fatalf("only %d files found", files)
	}
}

func inspect(t *testing.T, path string) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Error(err)
		return
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			t.Errorf("%s: starts a goroutine", fset.Position(n.Pos()))
		case *ast.SelectorExpr:
			if pkg, ok := n.X.(*ast.Ident); ok && pkg.Name == "time" && clockCalls[n.Sel.Name] {
				t.Errorf("%s: reads the clock by time.%s", fset.Position(n.Pos()), n.Sel.Name)
			}
		case *ast.FuncDecl:
			if n.Name.Name == "init" && n.Recv == nil {
				t.Errorf("%s: has an init function", fset.Position(n.Pos()))
			}
		}
		return true
	})
}
